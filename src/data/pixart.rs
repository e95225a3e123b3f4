//! Latents and text states that PixArt's own extraction scripts wrote beside the pictures, for Σ and for α.
//!
//! The scripts and their loaders differ in how they name the files of `a/b.png`: `a_b` and `b` are both looked for. `b` is taken only
//! where no other picture has that name too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{Entry, LONGEST, Skipped, entries};
use super::npy;
use super::random::Random;
use crate::error::{Error, Result};

/// Streams of the seed for which caption a picture has.
const CAPTION: u64 = 1 << 60;

/// A picture's files.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    /// Mean and deviation one after the other, `[2 channels, side, side]`, without the scaling factor.
    latents: PathBuf,
    /// A caption and the file of its states; one or two.
    captions: Vec<(String, PathBuf)>,
}

/// What of a folder's features has the shape that is asked for, in the order of its list.
#[derive(Debug)]
pub struct PixartFeatures {
    items: Vec<Item>,
    seed: u64,
    skipped: Skipped,
}

/// A picture's latents, without the scaling factor, and its caption with the states `[tokens, width]` of its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
    pub caption: String,
    pub states: Vec<f32>,
}

impl PixartFeatures {
    /// Features of pictures of `size` pixels as latents `[channels, side, side]`. Others are left aside, counted and named.
    ///
    /// # Errors
    /// `InvalidInput` where the folder has none; `Io` and `Integrity` naming a file.
    pub fn open(dir: &Path, size: usize, [channels, side]: [usize; 2], seed: u64) -> Result<Self> {
        let none = |reason: &str| Error::input("features", format!("{}: {reason}", dir.display()));
        let (_, list) = entries(dir)?.ok_or_else(|| none("it has no InternData/data_info.json"))?;
        let data = dir.join("InternData");
        let folders = [
            format!("img_sdxl_vae_features_{size}resolution_ms_new"),
            format!("img_sdxl_vae_features_{size}resolution_new"),
            format!("img_vae_features_{size}resolution_ms"),
            format!("img_vae_features_{size}resolution/noflip"),
        ];
        let latents = folders.iter().map(|name| data.join(name)).find(|path| path.is_dir());
        let latents = latents.ok_or_else(|| none(&format!("it has no latents of {size} pixels")))?;
        let short = ["caption_features_new", "caption_feature_wmask"].map(|name| data.join(name));
        let long = ["sharegpt4v_caption_features_new", "sharegpt4v_caption_feature_wmask"].map(|name| data.join(name));

        let mut stems: HashMap<String, usize> = HashMap::new();
        list.iter().for_each(|entry| *stems.entry(stem(&entry.path)).or_default() += 1);
        let (mut items, mut skipped) = (Vec::new(), Skipped::default());
        for Entry { path, ratio, prompt, sharegpt4v } in list {
            let joined = stem(&path.replace(['/', '\\'], "_"));
            let alone = Some(stem(&path)).filter(|stem| stems[stem] == 1);
            let names: Vec<String> = std::iter::once(joined).chain(alone).collect();
            let find = |dir: &Path, ending: &str| {
                names.iter().map(|name| dir.join(format!("{name}.{ending}"))).find(|path| path.is_file())
            };
            let states = |dirs: &[PathBuf]| dirs.iter().find_map(|dir| find(dir, "npz"));
            let captions: Vec<(String, PathBuf)> = [(prompt, &short), (sharegpt4v, &long)]
                .into_iter()
                .filter_map(|(text, dirs)| text.filter(|t| !t.trim().is_empty()).zip(states(dirs)))
                .collect();
            let picture = Path::new(&path);
            let Some(latents) = find(&latents, "npy") else {
                skipped.add("without latents", picture);
                continue;
            };
            if ratio.is_some_and(|ratio| ratio > LONGEST) {
                skipped.add("longer than 4.5 times their width", picture);
            } else if captions.is_empty() {
                skipped.add("without a caption that has states", picture);
            } else if npy::shape(&latents)? != [2 * channels, side, side] {
                skipped.add(&format!("whose latents are not {} x {side} x {side}", 2 * channels), &latents);
            } else {
                items.push(Item { latents, captions });
            }
        }
        if items.is_empty() {
            return Err(none(&format!("it has no features that fit; left aside: {}", skipped.lines().join("; "))));
        }
        skipped.lines().iter().for_each(|line| log::warn!("{}: left aside {line}", dir.display()));
        Ok(Self { items, seed, skipped })
    }

    /// Pictures that have features.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// Those of picture `index`, with states `width` wide. Which of its captions it has depends on the seed and `index` alone.
    ///
    /// # Errors
    /// `Io` or `Integrity` naming a file; `Internal` where there is no such picture.
    pub fn of(&self, index: usize, width: usize) -> Result<Features> {
        let item = self.items.get(index).ok_or_else(|| Error::internal(format!("no picture {index}")))?;
        let mut mean = npy::read(&item.latents)?.values;
        let deviation = mean.split_off(mean.len() / 2);
        let chosen = Random::new(self.seed, CAPTION + index as u64).below(item.captions.len());
        let (caption, path) = &item.captions[chosen];
        let [states, mask] = npy::members(path, ["caption_feature", "attention_mask"])?;
        if states.shape.last() != Some(&width) || states.values.len() != mask.values.len() * width {
            let reason = format!("its states are {:?}, not tokens of {width} each", states.shape);
            return Err(Error::integrity(path.display().to_string(), reason));
        }
        let kept = states.values.chunks_exact(width).zip(&mask.values).filter(|(_, m)| **m != 0.0);
        let states: Vec<f32> = kept.flat_map(|(token, _)| token.iter().copied()).collect();
        if states.is_empty() {
            return Err(Error::integrity(path.display().to_string(), "its mask leaves no token"));
        }
        Ok(Features { mean, deviation, caption: caption.clone(), states })
    }
}

/// A file's name without folder and ending.
fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts").join(name)
    }

    #[test]
    fn features_of_sigma_and_alpha_are_read_under_both_names() {
        let alpha = PixartFeatures::open(&layout("alpha"), 256, [4, 8], 0).unwrap();
        assert_eq!((alpha.len(), alpha.skipped().count()), (1, 0));
        let read = alpha.of(0, 32).unwrap();
        // The script that wrote them: ((37 i) mod 101) / 50 - 1, and deviations of 0.1; twelve tokens.
        assert_eq!((read.mean.len(), read.deviation), (256, vec![0.1; 256]));
        assert!((read.mean[3] - (111.0 % 101.0 / 50.0 - 1.0)).abs() < 1e-6, "{}", read.mean[3]);
        assert_eq!((read.states.len(), read.caption.as_str()), (12 * 32, "words of 000000000000.png"));
        let wide = alpha.of(0, 16).unwrap_err().to_string();
        assert!(wide.contains("000000000000.npz") && wide.contains("not tokens of 16"), "{wide}");

        let sigma = PixartFeatures::open(&layout("pixart"), 512, [4, 8], 0).unwrap();
        let lines = sigma.skipped().lines();
        assert_eq!(sigma.len(), 1, "c.jpg alone is square: {lines:?}");
        assert!(lines.iter().any(|l| l.starts_with("2 whose latents are not 8 x 8 x 8")), "{lines:?}");
        assert!(lines.iter().any(|l| l == "1 longer than 4.5 times their width: d.png"), "{lines:?}");
        let tokens: Vec<usize> = (0..20)
            .map(|seed| PixartFeatures::open(&layout("pixart"), 512, [4, 8], seed).unwrap().of(0, 32).unwrap())
            .map(|f| f.states.len() / 32 + 100 * usize::from(f.caption == "a longer caption of c.jpg"))
            .collect();
        assert!(tokens.iter().all(|t| [5, 109].contains(t)), "masked tokens stay behind: {tokens:?}");
        assert!(tokens.contains(&5) && tokens.contains(&109), "{tokens:?}");

        for (name, size, reason) in [("hf", 512, "no InternData"), ("pixart", 256, "no latents of 256 pixels")] {
            let error = PixartFeatures::open(&layout(name), size, [4, 8], 0).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = PixartFeatures::open(&layout("pixart"), 512, [4, 9], 0).unwrap_err().to_string();
        assert!(error.contains("no features that fit"), "{error}");
    }

    #[test]
    fn a_picture_in_a_folder_is_found_under_either_name_unless_it_is_another_s_too() {
        let scratch = std::env::temp_dir().join(format!("diffcr-pixart-{}", std::process::id()));
        let alpha = layout("alpha/InternData");
        let open = |name: &str, paths: &[&str]| {
            let data = scratch.join("InternData");
            for (from, folder) in [("img_vae_features_256resolution/noflip", "npy"), ("caption_feature_wmask", "npz")] {
                let to = data.join(from);
                std::fs::create_dir_all(&to).unwrap();
                let file = alpha.join(from).join(format!("000000000000.{folder}"));
                std::fs::copy(file, to.join(format!("{name}.{folder}"))).unwrap();
            }
            let list: Vec<String> =
                paths.iter().map(|path| format!(r#"{{"path": "{path}", "prompt": "of {path}"}}"#)).collect();
            std::fs::write(data.join("data_info.json"), format!("[{}]", list.join(","))).unwrap();
            let opened = PixartFeatures::open(&scratch, 256, [4, 8], 0);
            let read = opened.map_err(|e| e.to_string()).map(|f| (f.len(), f.of(0, 32).unwrap().caption));
            std::fs::remove_dir_all(&scratch).unwrap();
            read
        };
        assert_eq!(open("b", &["a/b.png"]), Ok((1, "of a/b.png".into())), "as the script writes it");
        assert_eq!(open("a_b", &["a/b.jpg"]), Ok((1, "of a/b.jpg".into())), "as the loader asks for it");
        assert_eq!(open("c_b", &["a/b.png", "c/b.png"]), Ok((1, "of c/b.png".into())));
        let error = open("b", &["a/b.png", "c/b.png"]).unwrap_err();
        assert!(error.contains("2 without latents: a/b.png, c/b.png"), "whose is it? {error}");
    }
}
