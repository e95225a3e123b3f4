//! True pictures are read as what they are, others are not.

use std::path::Path;

use super::*;
use crate::data::random::Random;
use crate::data::stickers::art::INSTALLED;
use crate::data::stickers::{Art, Pairs, Style, concepts, describe, render};

fn stickers(count: u64) -> Vec<Sticker> {
    (0..count).map(|i| describe(&mut Random::new(77, i), Pairs::Training, None, false)).collect()
}

/// Shares of colours and of backgrounds that are read as what was asked, in pictures of 128 pixels.
fn read(stickers: &[Sticker], art: &mut Art) -> (f64, f64) {
    let (mut color, mut background) = ((0, 0), (0, 0));
    for sticker in stickers {
        let verdict = judge(&render(sticker, art, 128).unwrap(), 128, sticker, None).unwrap();
        assert!(verdict.concept.is_none());
        for (count, hit) in [(&mut color, verdict.color), (&mut background, verdict.background)] {
            count.0 += usize::from(hit == Some(true));
            count.1 += usize::from(hit.is_some());
            if std::env::var("SHOW").is_ok() && hit == Some(false) {
                eprintln!("{} -> {:?}", sticker.caption, look(&render(sticker, art, 128).unwrap(), 128, sticker));
            }
        }
    }
    (color.0 as f64 / color.1 as f64, background.0 as f64 / background.1 as f64)
}

#[test]
fn colour_and_background_of_discs_are_read() {
    let mut art = Art::drawn(|_, _| "<circle cx=\"16\" cy=\"16\" r=\"14\" fill=\"#d04030\"/>".into());
    let (color, background) = read(&stickers(300), &mut art);
    assert!(color > 0.98 && background > 0.98, "{color} {background}");
}

#[test]
fn other_pictures_are_not_accepted() {
    let mut art = Art::drawn(|_, _| "<circle cx=\"16\" cy=\"16\" r=\"14\" fill=\"#d04030\"/>".into());
    let all = stickers(200);
    let (mut color, mut background) = ((0, 0), (0, 0));
    for (asked, shown) in all.iter().zip(&all[1..]) {
        let verdict = judge(&render(shown, &mut art, 128).unwrap(), 128, asked, None).unwrap();
        color = (color.0 + usize::from(verdict.color == Some(true)), color.1 + usize::from(verdict.color.is_some()));
        background = (
            background.0 + usize::from(verdict.background == Some(true)),
            background.1 + usize::from(verdict.background.is_some()),
        );
    }
    assert!(color.0 * 5 < color.1 && background.0 * 5 < background.1, "{color:?} {background:?}");
    // A picture of nothing.
    let flat = vec![0.4; 3 * 64 * 64];
    let verdict = judge(&flat, 64, &all[0], None).unwrap();
    assert!(!verdict.visible);
    assert!(look(&[0.0; 7], 64, &all[0]).is_err() && look(&vec![f32::NAN; 3 * 256], 16, &all[0]).is_err());
}

/// An answer that names those.
fn naming(things: &[usize]) -> Answer {
    let mut scores = vec![0.0; concepts().len()];
    things.iter().enumerate().for_each(|(i, &c)| scores[c] = 9.0 - i as f32);
    Answer { scores, features: vec![] }
}

#[test]
fn things_are_right_where_the_classifier_ranks_them_first() {
    let mut art = Art::drawn(|_, _| "<circle cx=\"16\" cy=\"16\" r=\"14\" fill=\"#d04030\"/>".into());
    for sticker in stickers(40) {
        let image = render(&sticker, &mut art, 32).unwrap();
        let things: Vec<usize> = sticker.things.iter().map(|t| t.concept).collect();
        let other: Vec<usize> = things.iter().map(|c| (c + 7) % concepts().len()).collect();
        let concept = |named: Vec<usize>| judge(&image, 32, &sticker, Some(&naming(&named))).unwrap().concept;
        assert_eq!(concept(things.clone()), Some(true));
        assert_eq!(concept(things.iter().rev().copied().collect()), Some(true));
        assert_eq!(concept(other), Some(false));
    }
}

/// Runs where `npm ci` was run in `tools/stickers-art`, and says so where it was not.
#[test]
fn colour_and_background_of_true_pictures_are_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
    if !dir.is_dir() {
        eprintln!(
            "the stickers' art is not installed: {} is not there, the judge is tested on discs alone",
            dir.display()
        );
        return;
    }
    let all = stickers(1000);
    let mut art = Art::open(&dir).unwrap();
    for style in Style::ALL {
        let of: Vec<Sticker> = all.iter().filter(|s| s.style == *style).cloned().collect();
        let (color, background) = read(&of, &mut art);
        eprintln!("{style:?}: {} pictures, colour {color:.3}, background {background:.3}", of.len());
        assert!(color > 0.96 && background > 0.98, "{style:?}: {color} {background}");
    }
}
