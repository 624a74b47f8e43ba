//! Each script's header agrees with its caller, and no script names a key that it was not given.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tenure_core::script::VERBS;

fn line<'a>(file: &'a str, name: &str) -> &'a str {
    let start = format!("-- {name}: ");
    file.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap_or_else(|| panic!("no {name} in {file}"))
}

#[test]
fn keys_are_those_of_the_caller() {
    for verb in VERBS {
        let keys: Vec<&str> = line(verb.file, "KEYS").split(", ").collect();
        assert_eq!(keys, verb.keys, "{}", verb.name);
        for used in verb.file.split("KEYS[").skip(1) {
            let Ok(index) = used.split(']').next().unwrap_or_default().parse::<usize>() else { continue };
            assert!((1..=verb.keys.len()).contains(&index), "{} uses KEYS[{index}]", verb.name);
        }
    }
}

#[test]
fn headers_are_whole() {
    for verb in VERBS {
        for part in ["Purpose", "Guarantee", "KEYS", "ARGV", "Returns"] {
            assert!(!line(verb.file, part).is_empty(), "{}: {part}", verb.name);
        }
    }
}

#[test]
fn every_reply_is_in_the_header() {
    for verb in VERBS {
        let returns = line(verb.file, "Returns");
        for reply in verb.file.split("return { '").skip(1) {
            let status = reply.split('\'').next().unwrap_or_default();
            assert!(returns.contains(status), "{} returns {status}", verb.name);
        }
        let guarded = verb.keys.contains(&"generation") && verb.name != "generation";
        assert_eq!(guarded, returns.contains("NO_GENERATION"), "{}", verb.name);
    }
}

#[test]
fn no_script_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let files = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".lua")?.to_owned())).collect();
    names.sort();
    let mut known: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}
