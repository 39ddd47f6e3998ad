//! Which GPU and model a row gets, and which constants it can set.

use super::*;
use crate::workload::constants::CONSTANTS;
use crate::workload::tests::row;

fn known(fields: &str) -> Known {
    of(&row(fields), 1366.0)
}

fn named(name: &str, mem_total_mb: u64) -> Option<&'static str> {
    let used = mem_total_mb / 10 * 9;
    let fields = format!(
        r#""name":"{name}","utilization":0.5,"mem_used_mb":{used},"mem_total_mb":{mem_total_mb},"power_w":200"#
    );
    known(&fields).board
}

#[test]
fn gpus_are_recognised_by_the_words_of_their_names() {
    for (name, mem_total_mb, board) in [
        ("RTX 3090", 24576, Some("RTX 3090")),
        ("NVIDIA GeForce RTX 3090", 24576, Some("RTX 3090")),
        ("RTX3090", 24576, Some("RTX 3090")),
        ("NVIDIA GeForce RTX 3090 Ti", 24576, None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16376, None),
        ("NVIDIA GeForce RTX 4090", 24564, Some("RTX 4090")),
        ("NVIDIA A10G", 23028, Some("A10G")),
        ("NVIDIA A10", 23028, None),
        ("NVIDIA L4", 23034, Some("L4")),
        ("NVIDIA L40S", 46068, None),
        ("A100 40GB", 40960, Some("A100 40GB SXM")),
        ("NVIDIA A100-SXM4-80GB", 81920, Some("A100 80GB SXM")),
        ("NVIDIA A100 80GB PCIe", 81920, Some("A100 80GB PCIe")),
        ("NVIDIA A100-PCIE-40GB", 40960, Some("A100 40GB PCIe")),
        ("NVIDIA H100 80GB HBM3", 81559, Some("H100 SXM")),
        ("NVIDIA H100 PCIe", 81559, Some("H100 PCIe")),
        ("NVIDIA H100 NVL", 95830, None),
        ("NVIDIA H200 NVL", 143771, Some("H200 NVL")),
        ("NVIDIA H200", 143771, Some("H200 SXM")),
        ("NVIDIA B200", 183359, Some("B200")),
        ("AMD Instinct MI300X", 196592, Some("MI300X")),
        ("Quadro P400", 2048, None),
    ] {
        assert_eq!(named(name, mem_total_mb), board, "{name}");
    }
}

#[test]
fn the_model_fits_in_the_memory_in_use() {
    let model = |used: u64| {
        known(&format!(
            r#""name":"RTX 3090","utilization":0.7,"mem_used_mb":{used},"mem_total_mb":24576,"power_w":280"#
        ))
        .model
    };
    assert_eq!(model(22_000), "llama-3.1-8b");
    assert_eq!(model(12_000), "llama-3.1-8b-w8a8");
    assert_eq!(model(9_000), "llama-3.2-3b");
    assert_eq!(model(6_000), "llama-3.1-8b-q4_k_m");
    assert_eq!(model(0), "llama-3.1-8b", "an empty board gets what its whole memory holds");
}

#[test]
fn a_row_may_name_its_model_and_any_constant_and_wins() {
    let fields =
        r#""name":"H100","utilization":0.9,"mem_used_mb":72000,"mem_total_mb":81559,"power_w":500"#;
    let own = known(&format!(r#"{fields},"model":"Llama-3.3-70B-Instruct""#));
    assert_eq!(own.model, "Llama-3.3-70B-Instruct");
    assert!((own.hardware.tpot_base_ms - 15.28).abs() < 1e-9, "that of 70B: {own:?}");
    let own = known(&format!(r#"{fields},"model":"house-7","tpot_base_ms":3.5,"power_cap_w":650"#));
    assert_eq!(own.model, "house-7");
    assert_eq!((own.hardware.tpot_base_ms, own.hardware.power_cap_w), (3.5, 650.0));
    for name in CONSTANTS {
        let mut own = known(&format!(r#"{fields},"{name}":777"#));
        assert_eq!(own.hardware.constant(name).copied(), Some(777.0), "{name}");
    }
}

#[test]
fn a_smaller_model_is_faster_as_far_as_its_bytes_and_operations_are_fewer() {
    let tpot = |model: &str| {
        let fields = format!(
            r#""name":"H100","utilization":0.9,"mem_used_mb":72000,"mem_total_mb":81559,"power_w":500,"model":"{model}""#
        );
        known(&fields).hardware.tpot_base_ms
    };
    assert!((tpot("llama-3.2-3b") - 6.2 * 3.21 / 8.03).abs() < 1e-9);
    assert!((tpot("Llama-3.1-8B-FP8") - 6.2 * 8_661.0 / 15_319.0).abs() < 1e-9);
    let b200 = known(
        r#""name":"B200","utilization":0.9,"mem_used_mb":160000,"mem_total_mb":183359,"power_w":700,"model":"deepseek-r1""#,
    );
    assert!((b200.hardware.tpot_base_ms - 21.4).abs() < 1e-9);
}

#[test]
fn an_unknown_gpu_is_derived_from_its_row() {
    let unknown = known(
        r#""name":"Foo 9000","utilization":0.5,"mem_used_mb":40000,"mem_total_mb":48000,"power_w":200"#,
    );
    assert_eq!(unknown.board, None);
    assert!((unknown.hardware.power_cap_w - 400.0).abs() < 1e-9);
    // 1600 GB/s for 400 W against 3350 GB/s of the H100
    assert!((unknown.hardware.tpot_base_ms - 6.2 * 3350.0 / 1600.0).abs() < 1e-9);
}

#[test]
fn a_row_that_its_gpu_can_hardly_be_is_doubted() {
    let doubt_of = doubt;
    let doubt = |fields: &str| {
        doubt_of(&row(&format!(
            r#""name":"RTX 3090","mem_used_mb":9000,"mem_total_mb":24576,{fields}"#
        )))
    };
    assert_eq!(
        doubt(r#""utilization":0.7,"power_w":2800"#).as_deref(),
        Some(
            "power_w 2800 is more than the limit of RTX 3090, 350 W; power_cap_w says that it was \
             raised"
        )
    );
    assert_eq!(
        doubt(r#""utilization":0,"power_w":280"#).as_deref(),
        Some("power_w 280 at utilization 0, where RTX 3090 has 70 W")
    );
    for good in [
        r#""utilization":0.7,"power_w":280"#,
        r#""utilization":0.7,"power_w":350"#,
        r#""utilization":0.7,"power_w":400,"power_cap_w":420"#,
    ] {
        assert_eq!(doubt(good), None, "{good}");
    }
    let idle = "utilization 0: it was idle when it was read, and will be; read it while it is busy";
    assert_eq!(doubt(r#""utilization":0,"power_w":25"#).as_deref(), Some(idle));
    let busy = doubt(r#""utilization":1,"power_w":280"#).unwrap();
    assert!(busy.starts_with("utilization 1: it is never idle"), "{busy}");
    let unknown =
        r#""name":"Foo","utilization":0.1,"mem_used_mb":1,"mem_total_mb":2,"power_w":900"#;
    assert_eq!(doubt_of(&row(unknown)), None);
}

#[test]
fn the_log_says_as_what_a_gpu_was_recognised() {
    let name = |name: &str| {
        let fields = format!(
            r#""name":"{name}","utilization":0.5,"mem_used_mb":12000,"mem_total_mb":40960,"power_w":210"#
        );
        describe(&row(&fields), Name::Chat)
    };
    assert_eq!(
        name("A100 40GB"),
        "A100 40GB (as A100 40GB SXM; serves llama-3.1-8b-w8a8; mean 50 %, 210 W)"
    );
    assert_eq!(name("L4"), "L4 (serves llama-3.1-8b-w8a8; mean 50 %, 210 W)");
    assert_eq!(
        name("Foo"),
        "Foo (not recognised, from its row; serves llama-3.1-8b-w8a8; mean 50 %, 210 W)"
    );
    let small = row(
        r#""name":"P400","utilization":0.5,"mem_used_mb":1000,"mem_total_mb":2048,"power_w":20"#,
    );
    assert_eq!(
        describe(&small, Name::Chat),
        "P400 (not recognised, from its row; serves llama-3.1-8b-q4_k_m, which is too large for it: \
         name its model in the row; mean 50 %, 20 W)"
    );
    assert_eq!(describe(&small, Name::Uniform), "P400");
}
