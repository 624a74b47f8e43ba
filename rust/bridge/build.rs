//! A migration that is new, and not only one that was edited, makes the extension anew: `include_dir!` does not say so to cargo.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rerun-if-changed=build.rs");
}
