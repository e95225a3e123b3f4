//! Stickers by lot: what captions say is what is there, and batches repeat.

use std::collections::BTreeSet;
use std::path::Path;

use super::art::INSTALLED;
use super::caption::LIMIT;
use super::describe::{ALONE, SAID, STYLES};
use super::vocabulary::{tokenizer, vocabulary};
use super::*;
use crate::data::Source;
use crate::data::random::Random;
use crate::data::scenes::Pattern;

/// Drawings that need no art: a disc of a colour of its own for every concept.
fn discs() -> Art {
    Art::drawn(|index, _| format!("<circle cx=\"16\" cy=\"16\" r=\"15\" fill=\"#{:02x}2020\"/>", 120 + index % 100))
}

fn drawn(count: u64, pairs: Pairs) -> Vec<Sticker> {
    (0..count).map(|i| describe(&mut Random::new(5, i), pairs, None, false)).collect()
}

#[test]
fn captions_say_what_is_there() {
    for sticker in drawn(3000, Pairs::Training) {
        let Sticker { caption, things, asked, .. } = &sticker;
        assert!(caption.split(' ').count() <= LIMIT, "{caption}");
        let said = |words: &[&str]| words.iter().any(|w| format!(" {caption} ").contains(&format!(" {w} ")));
        for thing in things {
            let concept = &concepts()[thing.concept];
            assert!(said(&concept.names), "{caption}: {}", concept.name());
            assert!(thing.tint.is_none_or(|t| said(t.words())), "{caption}: {:?}", thing.tint);
            assert!(concept.has(sticker.style));
            assert!(!thing.shown_tint().hides_on().contains(&sticker.background.first), "{caption}");
            let reach = thing.x.abs().max(thing.y.abs()) + thing.radius;
            assert!(reach <= 1.02, "{caption}: it reaches {reach}");
        }
        assert!(sticker.style == Style::Flat || said(sticker.style.words()), "{caption}");
        assert!(asked.size == Size::Medium || said(asked.size.words()), "{caption}");
        assert!(asked.place.is_none_or(|p| said(p.words())), "{caption}");
        assert_eq!(asked.relation.is_some(), things.len() == 2);
        assert!(!asked.background || said(sticker.background.first.words()), "{caption}");
        assert!(asked.background || sticker.background.pattern == Pattern::Plain);
    }
}

#[test]
fn much_is_left_out_now_and_then() {
    let stickers = drawn(4000, Pairs::Training);
    let share = |test: &dyn Fn(&Sticker) -> bool| stickers.iter().filter(|s| test(s)).count() as f64 / 4000.0;
    let near = |found: f64, expected: f64| (found - expected).abs() < 0.04;
    assert!(near(share(&|s| s.asked.background), SAID));
    assert!(near(share(&|s| s.things.len() == 1), ALONE));
    assert!(near(share(&|s| s.style == Style::Flat), STYLES[0]));
    assert!(share(&|s| s.things[0].tint.is_none()) > 0.3 && share(&|s| s.things[0].tint.is_some()) > 0.4);
    assert!(share(&|s| s.caption.split(' ').count() <= 3) > 0.1, "short prompts are what people type");
}

#[test]
fn held_out_pairs_are_never_trained_on_and_are_all_that_is_held_out() {
    let held = |sticker: &Sticker| {
        let of = |t: &Thing| t.tint.is_some_and(|tint| concepts()[t.concept].is_held_out(tint));
        sticker.things.iter().map(of).collect::<Vec<_>>()
    };
    assert!(drawn(4000, Pairs::Training).iter().all(|s| !held(s).contains(&true)));
    assert!(drawn(400, Pairs::HeldOut).iter().all(|s| !held(s).contains(&false)));
    let all = drawn(4000, Pairs::All);
    assert!(all.iter().any(|s| held(s).contains(&true)) && all.iter().any(|s| !held(s).contains(&true)));
}

#[test]
fn every_word_has_a_number() {
    let words = vocabulary();
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    let known: BTreeSet<&str> = words.iter().copied().collect();
    for sticker in drawn(3000, Pairs::Training) {
        let unknown: Vec<_> = sticker.caption.split(' ').filter(|w| !known.contains(w)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", sticker.caption);
    }
    let json = tokenizer();
    let ids = json["model"]["vocab"].as_object().unwrap();
    assert!(words.iter().enumerate().all(|(id, word)| ids[*word] == id) && ids.len() == words.len());
}

#[test]
fn a_batch_depends_on_seed_and_index_alone() {
    let mut source = StickersSource::new(discs(), 7);
    let batches: Vec<_> = (0..3).map(|_| source.batch(4, 32).unwrap()).collect();
    assert_eq!(batches[0].images.len(), 4 * 3 * 32 * 32);
    assert!(batches[0].images.iter().all(|v| (-1.0..=1.0).contains(v)));
    assert_ne!(batches[0], batches[1]);
    let mut resumed = StickersSource::new(discs(), 7);
    resumed.seek(2);
    assert_eq!(resumed.batch(4, 32).unwrap(), batches[2]);
    assert_ne!(StickersSource::new(discs(), 8).batch(4, 32).unwrap(), batches[0]);
    let mut holes = StickersSource::new(discs(), 7).with_holes(true);
    assert_eq!(holes.batch(2, 16).unwrap().masks.len(), 2 * 256);
    let plain = StickersSource::new(discs(), 7).with_plain(1.0, 0.0).batch(40, 8).unwrap();
    let patterns = ["dots", "stripes", "striped", "checkered", "gradient"];
    assert!(plain.captions.iter().all(|c| !c.split(' ').any(|w| patterns.contains(&w))));
}

/// The drawing is where the sticker says, in the tint that it says; around it is the background.
#[test]
fn pixels_show_the_tint_and_the_background() {
    let mut art = discs();
    for (i, sticker) in
        drawn(300, Pairs::Training).iter().enumerate().filter(|(_, s)| s.background.pattern == Pattern::Plain)
    {
        let image = render(sticker, &mut art, 64).unwrap();
        let at = |x: f32, y: f32| {
            let place = |v: f32| (((v + 1.0) * 32.0) as usize).min(63);
            [0, 1, 2].map(|c| (image[c * 4096 + place(y) * 64 + place(x)] + 1.0) * 127.5)
        };
        let close = |a: [f32; 3], b: [u8; 3], d: f32| a.iter().zip(b).all(|(a, b)| (a - f32::from(b)).abs() <= d);
        let thing = sticker.things.last().unwrap();
        let corner = if thing.x + thing.y > 0.0 { -0.97 } else { 0.97 };
        assert!(close(at(corner, corner), sticker.background.first.rgb(), 1.0), "{i}: {}", sticker.caption);
        let profile = art.profile(thing.concept, sticker.style).unwrap();
        let natural = [120 + (thing.concept % 100) as u8, 0x20, 0x20];
        let expected = thing.tint.map_or(natural, |tint| tint::repaint(natural, tint, &profile));
        assert!(close(at(thing.x, thing.y), expected, 3.0), "{i}: {} {:?}", sticker.caption, at(thing.x, thing.y));
    }
}

#[test]
fn art_that_is_not_installed_says_how_to_get_it() {
    let error = Art::open(Path::new("nowhere")).unwrap_err();
    assert_eq!(error.code(), "IO");
    assert!(error.to_string().contains("npm ci") && error.to_string().contains("icons.json"), "{error}");
}

/// Runs where `npm ci` was run in `tools/stickers-art`, and says so where it was not.
#[test]
fn the_installed_art_is_what_the_list_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
    if !dir.is_dir() {
        eprintln!("the stickers' art is not installed: {} is not there, its drawings are not tested", dir.display());
        return;
    }
    let mut art = Art::open(&dir).unwrap();
    for (index, concept) in concepts().iter().enumerate() {
        for &style in Style::ALL.iter().filter(|s| concept.has(**s)) {
            let sprite = art.sprite(index, style, None, 64).unwrap();
            let drawn = sprite.pixels.iter().filter(|p| p[3] > 127).count();
            assert!(drawn > 150, "{} {style:?} is hardly there: {drawn} pixels", concept.icon);
            if concept.takes_tint(style) {
                let share = art.profile(index, style).unwrap().share;
                assert!(share > 0.5, "{} {style:?} has colour in {share} of it alone", concept.icon);
            }
        }
    }
}
