//! How far the judge can be trusted: true pictures, spoiled pictures, and captions that are wrong.

use super::*;
use crate::data::random::Random;
use crate::data::scenes::{Pattern, Scene, describe, render};

/// A Gaussian blur of `sigma` pixels and noise of `noise`, such as a diffusion model leaves.
fn spoil(image: &[f32], size: usize, sigma: f32, noise: f32, random: &mut Random) -> Vec<f32> {
    let reach = 3i32;
    let kernel: Vec<f32> = (-reach..=reach).map(|d| (-(d * d) as f32 / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    let last = size as i32 - 1;
    let pass = |image: &[f32], across: bool| -> Vec<f32> {
        let at =
            |c: usize, y: i32, x: i32| image[(c * size + y.clamp(0, last) as usize) * size + x.clamp(0, last) as usize];
        let blurred = |i: usize| {
            let (c, y, x) = (i / (size * size), (i / size % size) as i32, (i % size) as i32);
            let taps = kernel.iter().zip(-reach..);
            taps.map(|(k, d)| k * if across { at(c, y, x + d) } else { at(c, y + d, x) }).sum::<f32>() / sum
        };
        (0..image.len()).map(blurred).collect()
    };
    let blurred = pass(&pass(image, true), false);
    blurred.into_iter().map(|v| (v + noise * random.gaussian() as f32).clamp(-1.0, 1.0)).collect()
}

/// `request` with one attribute changed, each way that changes what a picture must show.
fn near_misses(request: &Request, random: &mut Random) -> Vec<(&'static str, Request)> {
    fn other<T: Copy + PartialEq>(all: &[T], not: &[T], random: &mut Random) -> T {
        let rest: Vec<T> = all.iter().copied().filter(|v| !not.contains(v)).collect();
        random.choice(&rest)
    }
    let ground = request.background;
    let mut misses = Vec::new();
    let mut subject = |what, subject| misses.push((what, Request { subject, ..*request }));
    match request.subject {
        Subject::One { size, color, shape, place } => {
            let changed = other(Color::ALL, &[color], random);
            subject("color", Subject::One { size, color: changed, shape, place });
            let changed = other(Shape::ALL, &[shape], random);
            subject("shape", Subject::One { size, color, shape: changed, place });
            if let Some(old) = place {
                let changed = other(Place::ALL, &[old], random);
                subject("place", Subject::One { size, color, shape, place: Some(changed) });
            }
        }
        Subject::Pair { first, relation, second } => {
            let changed = (other(Color::ALL, &[first.0], random), first.1);
            subject("color", Subject::Pair { first: changed, relation, second });
            let changed = (second.0, other(Shape::ALL, &[second.1], random));
            subject("shape", Subject::Pair { first, relation, second: changed });
            let changed = other(Relation::ALL, &[relation], random);
            subject("relation", Subject::Pair { first, relation: changed, second });
        }
    }
    let mut background = |what, background: Background| misses.push((what, Request { background, ..*request }));
    let pattern = other(Pattern::ALL, &[ground.pattern], random);
    let second =
        if ground.pattern == Pattern::Plain { other(Color::ALL, &[ground.first], random) } else { ground.second };
    let second = if pattern == Pattern::Plain { ground.first } else { second };
    background("pattern", Background { pattern, first: ground.first, second });
    let first = other(Color::ALL, &[ground.first, ground.second], random);
    let second = if ground.pattern == Pattern::Plain { first } else { ground.second };
    background("background color", Background { pattern: ground.pattern, first, second });
    misses
}

#[derive(Default)]
struct Rate(usize, usize);

impl Rate {
    fn add(&mut self, hit: bool) {
        self.0 += usize::from(hit);
        self.1 += 1;
    }

    fn share(&self) -> f64 {
        self.0 as f64 / self.1.max(1) as f64
    }
}

struct Figures {
    clean: [Rate; 2],
    spoiled: [Rate; 2],
    wrong: Rate,
    near: std::collections::BTreeMap<&'static str, Rate>,
    size: Rate,
}

fn figures(count: usize, seed: u64) -> Figures {
    let mut random = Random::new(seed, 0);
    let scenes: Vec<Scene> = (0..count).map(|_| describe(&mut random)).collect();
    let requests: Vec<Request> = scenes.iter().map(|s| Request::parse(&s.caption).unwrap()).collect();
    let mut f = Figures {
        clean: Default::default(),
        spoiled: Default::default(),
        wrong: Rate::default(),
        near: Default::default(),
        size: Rate::default(),
    };
    for (i, (scene, request)) in scenes.iter().zip(&requests).enumerate() {
        for (which, size) in [64, 128].into_iter().enumerate() {
            let image = render(scene, size);
            let verdict = judge(&image, size, request).unwrap();
            f.clean[which].add(verdict.accepted());
            if let Some(right) = verdict.size {
                f.size.add(right);
            }
            if !verdict.accepted() && count > 1000 {
                println!("{size} {}: {:?}", scene.caption, look(&image, size, request).unwrap());
            }
            let spoiled = spoil(&image, size, 0.7, 0.03, &mut random);
            f.spoiled[which].add(judge(&spoiled, size, request).unwrap().accepted());
        }
        let image = render(scene, 64);
        let other = &requests[(i + 1) % count];
        f.wrong.add(judge(&image, 64, other).unwrap().accepted());
        for (what, miss) in near_misses(request, &mut random) {
            f.near.entry(what).or_default().add(judge(&image, 64, &miss).unwrap().accepted());
        }
    }
    f
}

fn report(f: &Figures) {
    for (which, size) in [64, 128].into_iter().enumerate() {
        println!("{size}: clean {:.4}, spoiled {:.4}", f.clean[which].share(), f.spoiled[which].share());
    }
    println!("size {:.4}, another's caption {:.4}", f.size.share(), f.wrong.share());
    for (what, rate) in &f.near {
        println!("near miss in {what}: {:.4}", rate.share());
    }
}

#[test]
fn true_captions_pass_and_wrong_ones_do_not() {
    let f = figures(150, 41);
    report(&f);
    assert!(f.clean.iter().all(|r| r.share() >= 0.98) && f.spoiled.iter().all(|r| r.share() >= 0.97));
    assert!(f.wrong.share() <= 0.02);
    assert!(f.near.len() == 6 && f.near.values().all(|r| r.share() <= 0.05));
}

/// The figures of the module's documentation: `cargo test --release judge::tests::figures_of_2000 -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn figures_of_2000() {
    let f = figures(2000, 42);
    report(&f);
    assert!(f.clean.iter().all(|r| r.share() >= 0.99));
    assert!(f.wrong.share() <= 0.02);
}

#[test]
fn nothing_is_seen_where_nothing_is() {
    let request = Request::parse("a red circle on a blue background").unwrap();
    let blue: Vec<f32> = Color::Blue.rgb().into_iter().flat_map(|v| vec![v; 64 * 64]).collect();
    let verdict = judge(&blue, 64, &request).unwrap();
    assert!(verdict.background && !verdict.shape && !verdict.color && verdict.place.is_none() && !verdict.accepted());
    let pair = Request::parse("a red circle left of a green star on a blue background").unwrap();
    assert_eq!(judge(&blue, 64, &pair).unwrap().place, Some(false));
}
