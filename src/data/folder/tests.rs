//! Folders good and bad.

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
        FolderSource::open(&self.0, 0).unwrap_err().to_string()
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
    let mut source = FolderSource::open(&scratch.0, 3).unwrap();
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
    let mut resumed = FolderSource::open(&scratch.0, 3).unwrap();
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
    let batch = FolderSource::open(&scratch.0, 0).unwrap().batch(1, 8).unwrap();
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
    let error = FolderSource::open(&empty.0, 0).unwrap().batch(1, 8).unwrap_err().to_string();
    assert!(error.contains("broken.png: not a PNG"), "{error}");
    let absent = FolderSource::open(&empty.0.join("absent"), 0).unwrap_err();
    assert_eq!(absent.code(), "IO");
}
