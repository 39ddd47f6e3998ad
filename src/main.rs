//! The binary: command line in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    vm4_producer::main(std::env::args_os()).into()
}
