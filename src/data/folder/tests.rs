//! Folders good and bad.

use std::path::PathBuf;

use super::list::METADATA;
use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diffcr-folder-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn png(&self, name: &str, width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) {
        RgbImage::from_fn(width, height, |x, y| image::Rgb(color(x, y))).save(self.0.join(name)).unwrap();
    }

    fn text(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn fault(&self) -> String {
        FolderSource::open(&self.0, 0, Split::ALL).unwrap_err().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn pairs_are_read_once_an_epoch_and_resume() {
    let scratch = Scratch::new("pairs");
    for i in 0..5u8 {
        scratch.png(&format!("{i}.png"), 8, 8, |_, _| [i * 50, 0, 255]);
        scratch.text(&format!("{i}.txt"), &format!(" caption {i}\n"));
    }
    let mut source = FolderSource::open(&scratch.0, 3, Split::ALL).unwrap();
    assert_eq!(source.len(), 5);
    let batches: Vec<Batch> = (0..5).map(|_| source.batch(2, 8).unwrap()).collect();
    for epoch in batches.iter().flat_map(|b| &b.captions).collect::<Vec<_>>().chunks(5) {
        let mut captions = epoch.to_vec();
        captions.sort();
        assert_eq!(captions, ["caption 0", "caption 1", "caption 2", "caption 3", "caption 4"]);
    }
    for (image, caption) in batches[0].images.chunks(3 * 64).zip(&batches[0].captions) {
        let i: f32 = caption.strip_prefix("caption ").unwrap().parse().unwrap();
        assert!((image[0] - (i * 50.0 / 127.5 - 1.0)).abs() < 1e-6, "a picture has another's caption");
        assert_eq!((image[64], image[128]), (-1.0, 1.0));
    }
    let mut resumed = FolderSource::open(&scratch.0, 3, Split::ALL).unwrap();
    resumed.seek(4);
    assert_eq!(resumed.batch(2, 8).unwrap(), batches[4]);
}

#[test]
fn the_middle_square_is_resized() {
    let scratch = Scratch::new("crop");
    // Blue margins around a square whose left half is red.
    scratch.png("wide.png", 32, 16, |x, _| match x {
        0..8 | 24.. => [0, 0, 255],
        8..16 => [255, 0, 0],
        _ => [0, 0, 0],
    });
    scratch.text(METADATA, "{\"file_name\": \"wide.png\", \"text\": \"half\"}\n\n");
    let batch = FolderSource::open(&scratch.0, 0, Split::ALL).unwrap().batch(1, 8).unwrap();
    assert_eq!((batch.captions.as_slice(), batch.size), (&["half".to_owned()][..], 8));
    let row = |channel: usize| &batch.images[channel * 64..][..8];
    assert!(row(0)[..3].iter().all(|v| *v > 0.98) && row(0)[5..].iter().all(|v| *v < -0.98), "{:?}", row(0));
    assert!(row(2).iter().all(|v| *v < -0.98), "a margin is left: {:?}", row(2));
}

#[test]
fn faults_name_the_file() {
    let empty = Scratch::new("empty");
    assert!(empty.fault().contains("it has no PNG"), "{}", empty.fault());
    empty.png("lonely.png", 4, 4, |_, _| [0; 3]);
    assert!(empty.fault().contains("lonely.txt"), "{}", empty.fault());
    for (line, reason) in [
        ("{\"file_name\": \"gone.png\", \"text\": \"x\"}", "metadata.jsonl: line 1: there is no \"gone.png\""),
        ("{\"file_name\": \"../x.png\", \"text\": \"x\"}", "leaves the folder"),
        ("{\"file_name\": \"lonely.png\"}", "line 1: missing field `text`"),
        ("nonsense", "line 1: expected"),
    ] {
        empty.text(METADATA, line);
        assert!(empty.fault().contains(reason), "{}", empty.fault());
    }
    empty.text("broken.png", "no picture");
    empty.text(METADATA, "{\"file_name\": \"broken.png\", \"text\": \"x\"}");
    let error = FolderSource::open(&empty.0, 0, Split::ALL).unwrap().batch(1, 8).unwrap_err().to_string();
    assert!(error.contains("broken.png: not a PNG"), "{error}");
    let absent = FolderSource::open(&empty.0.join("absent"), 0, Split::ALL).unwrap_err();
    assert_eq!(absent.code(), "IO");
}

/// Layouts as `make_layouts.py` writes them, beside this file's fixtures.
fn layout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layouts").join(name)
}

fn epoch(source: &mut FolderSource) -> Vec<String> {
    let mut captions: Vec<String> =
        (0..source.epochs.turns()).flat_map(|_| source.batch(1, 16).unwrap().captions).collect();
    captions.sort();
    captions
}

#[test]
fn every_layout_is_read() {
    let mut pixart = FolderSource::open(&layout("pixart"), 1, Split::ALL).unwrap();
    assert_eq!(pixart.len(), 3);
    assert_eq!(pixart.skipped().count(), 1);
    assert!(pixart.skipped().lines()[0].starts_with("1 longer than 4.5 times their width: "), "{:?}", pixart.skipped());
    assert!(pixart.skipped().lines()[0].ends_with("d.png"));
    let captions: Vec<String> = (0..20).flat_map(|_| pixart.batch(3, 16).unwrap().captions).collect();
    let long = captions.iter().filter(|c| c.starts_with("a longer caption of ")).count();
    assert!((15..45).contains(&long) && captions.iter().any(|c| c == "words of a/b.png"), "{long} {captions:?}");
    for (name, expected) in [("wds", vec!["a caption"; 6]), ("hf", vec!["a caption"]), ("kohya", vec!["tag, tag"])] {
        let mut source = FolderSource::open(&layout(name), 1, Split::ALL).unwrap();
        assert_eq!(epoch(&mut source), expected, "{name}");
        assert_eq!(source.skipped().count(), 0, "{name}");
    }
    let (a, b) = (FolderSource::open(&layout("wds"), 1, Split::ALL), FolderSource::open(&layout("hf"), 1, Split::ALL));
    let (a, b) = (a.unwrap().batch(6, 64).unwrap(), b.unwrap().batch(1, 64).unwrap());
    assert!(
        a.images.chunks(3 * 64 * 64).any(|p| p == b.images),
        "a member of a shard is another picture than the file"
    );
}

#[test]
fn repeats_weights_and_endings() {
    let scratch = Scratch::new("kohya");
    std::fs::create_dir_all(scratch.0.join("3_cat/deep")).unwrap();
    for (name, text) in [("3_cat/a", "cat"), ("3_cat/deep/b", "deep cat"), ("c", "dog")] {
        scratch.png(&format!("{name}.png"), 8, 8, |_, _| [9; 3]);
        scratch.text(&format!("{name}.txt"), text);
    }
    for name in ["lonely.webp", "film.gif", "other.jpg"] {
        scratch.text(name, "");
    }
    let mut source = FolderSource::open(&scratch.0, 1, Split::ALL).unwrap();
    assert_eq!(epoch(&mut source), ["cat", "cat", "cat", "deep cat", "deep cat", "deep cat", "dog"]);
    let lines = source.skipped().lines().join("\n");
    assert_eq!(source.skipped().count(), 3, "{lines}");
    assert!(["lonely.webp", "lonely.txt", "other.jpg", "film.gif"].iter().all(|name| lines.contains(name)), "{lines}");
    scratch
        .text(METADATA, "{\"file_name\": \"c.png\", \"text\": [{\"text\": \"often\", \"weight\": 3}, \"seldom\"]}\n");
    let captions = |seed| {
        let mut source = FolderSource::open(&scratch.0, seed, Split::ALL).unwrap();
        (0..100).flat_map(|_| source.batch(4, 8).unwrap().captions).collect::<Vec<_>>()
    };
    let often = captions(1).iter().filter(|c| *c == "often").count();
    assert!((270..330).contains(&often), "{often}");
    let mut late = FolderSource::open(&scratch.0, 1, Split::ALL).unwrap();
    late.seek(99);
    assert_eq!(late.batch(4, 8).unwrap().captions, captions(1)[396..], "batch 99 depends on those before");
    for text in ["[]", "7", "[{\"text\": \"x\", \"weight\": -1}]"] {
        scratch.text(METADATA, &format!("{{\"file_name\": \"c.png\", \"text\": {text}}}\n"));
        assert!(scratch.fault().contains("line 1: `text` is no caption"), "{}", scratch.fault());
    }
}

#[test]
fn a_damaged_shard_is_named() {
    let scratch = Scratch::new("shard");
    let whole = std::fs::read(layout("wds/toy-000000.tar")).unwrap();
    std::fs::write(scratch.0.join("cut.tar"), &whole[..1000]).unwrap();
    assert!(scratch.fault().contains("cut.tar: it is cut off"), "{}", scratch.fault());
    let mut damaged = whole;
    damaged[3] ^= 1;
    std::fs::write(scratch.0.join("cut.tar"), damaged).unwrap();
    assert!(scratch.fault().contains("the header at byte 0 is damaged"), "{}", scratch.fault());
}
