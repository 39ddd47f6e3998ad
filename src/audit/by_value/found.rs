//! Which of the records that wait were found, and which are left.

use std::collections::HashMap;

use super::Own;
use super::pool::{Row, Said};
use crate::audit::record::Owned;

/// Which records were found, by their numbers, and which are left.
pub(super) struct Found<'r> {
    pub(super) rows: &'r [Row],
    /// What each is.
    pub(super) found: Vec<Option<Own>>,
    pub(super) by_whole: HashMap<u64, Vec<u32>>,
    /// The first record of the plan with each digest that has any.
    pub(super) first: HashMap<u64, Own>,
    /// How many are taken for one record of the plan.
    pub(super) taken: HashMap<Own, u64>,
    /// Times of live pairs that became known.
    pub(super) times: Vec<(u64, i64)>,
}

impl<'r> Found<'r> {
    pub(super) fn new(rows: &'r [Row]) -> Self {
        let mut by_whole = HashMap::<_, Vec<u32>>::new();
        for (number, row) in rows.iter().enumerate().rev() {
            if let (Some(said), Ok(number)) = (row.said, u32::try_from(number)) {
                by_whole.entry(said.whole).or_default().push(number);
            }
        }
        Self {
            rows,
            found: vec![None; rows.len()],
            by_whole,
            first: HashMap::new(),
            taken: HashMap::new(),
            times: Vec::new(),
        }
    }

    /// The rows with this digest that are left, the latest first.
    pub(super) fn left(&mut self, whole: u64) -> Option<&mut Vec<u32>> {
        let found = &self.found;
        let left = self.by_whole.get_mut(&whole)?;
        while left.last().is_some_and(|number| found[*number as usize].is_some()) {
            left.pop();
        }
        Some(left).filter(|left| !left.is_empty())
    }

    /// Takes the rows with this digest for a record of the plan that is open so many times: one whose
    /// topic and key fit before others.
    pub(super) fn take(&mut self, whole: u64, own: Own, open: u64, key: Option<&str>) {
        if !self.by_whole.contains_key(&whole) {
            return;
        }
        self.first.entry(whole).or_insert(own);
        for _ in self.taken.get(&own).copied().unwrap_or(0)..open {
            let rows = self.rows;
            let fits = |number: &u32| rows[*number as usize].read.is_of(own.0, key);
            let Some(left) = self.left(whole) else { return };
            let at = left.iter().rposition(fits).unwrap_or(left.len() - 1);
            let number = left.remove(at);
            self.assign(number as usize, own);
        }
    }

    pub(super) fn assign(&mut self, number: usize, own: Own) {
        self.found[number] = Some(own);
        *self.taken.entry(own).or_default() += 1;
    }

    /// What is left of a digest whose records of the plan are all there is a copy.
    pub(super) fn copies(&mut self) {
        self.copies_if(|_| true);
    }

    /// The same of what says something.
    pub(super) fn copies_if(&mut self, is_asked: impl Fn(&Said) -> bool) {
        let rows = self.rows;
        for (whole, own) in self.first.clone() {
            let is_asked =
                |number: u32| rows[number as usize].said.is_some_and(|said| is_asked(&said));
            while let Some(number) =
                self.left(whole).and_then(|left| left.pop_if(|number| is_asked(*number)))
            {
                self.found[number as usize] = Some(own);
            }
        }
    }

    /// Takes what is claimed once for the record of the plan that it claims.
    pub(super) fn claim(&mut self, claims: HashMap<Own, Vec<usize>>) {
        for (own, numbers) in claims {
            if let [number] = numbers[..]
                && !self.taken.contains_key(&own)
            {
                self.assign(number, own);
            }
        }
    }

    /// What is left: the number, the record, and what its value says.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, &'r Owned, Option<Said>)> {
        let rows = self.rows.iter().enumerate().zip(&self.found);
        rows.filter(|(_, found)| found.is_none())
            .map(|((number, row), _)| (number, &row.read, row.said))
    }
}
