//! Files to begin a run with, every line of them explained: what `diffcr train --init` writes.

use super::Kind;

/// A file for a kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    pub name: &'static str,
    pub text: &'static str,
    /// What it trains.
    pub kind: Kind,
}

/// All there are.
pub const TEMPLATES: [Template; 6] = [
    Template { name: "classifier", text: include_str!("init/classifier.toml"), kind: Kind::Classifier },
    Template { name: "dense", text: include_str!("init/dense.toml"), kind: Kind::Base },
    Template { name: "diffcr-full", text: include_str!("init/diffcr-full.toml"), kind: Kind::Diffcr },
    Template { name: "diffcr-lora", text: include_str!("init/diffcr-lora.toml"), kind: Kind::Diffcr },
    Template { name: "inpaint", text: include_str!("init/inpaint.toml"), kind: Kind::Base },
    Template { name: "vae", text: include_str!("init/vae.toml"), kind: Kind::Vae },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::TrainConfig;

    #[test]
    fn every_file_is_a_run_and_every_line_is_explained() {
        for Template { name, text, kind } in TEMPLATES {
            let config = TrainConfig::parse(text, kind).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!config.stages.is_empty(), "{name}");
            assert_eq!(config.lora.is_some(), name == "diffcr-lora");
            for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with(['#', '['])) {
                assert!(line.contains(" # "), "{name}: {line:?} says nothing about itself");
            }
            let command = match kind {
                Kind::Base => "base",
                Kind::Diffcr => "diffcr",
                Kind::Vae => "vae",
                Kind::Classifier => "classifier",
            };
            assert!(text.starts_with(&format!("# diffcr train {command} ")), "{name}");
        }
    }
}
