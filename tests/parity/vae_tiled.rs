//! Decoding in tiles against decoding whole.

use std::f32::consts::TAU;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use diffcr::Error;
use diffcr::model::vae::Vae;
use diffcr::model::vae::tiled::{TileConfig, TiledDecode, decode_tiled};

use crate::vae::{kl_config, kl_weights, load_kl, load_tiny, tiny_config, tiny_weights};

/// Plane waves, `periods` along each side: the latents of an even surface.
fn smooth(periods: f32, height: usize, width: usize, device: &Device) -> Tensor<4> {
    let wave = |i: usize| {
        let (c, y, x) = (i / (height * width), i / width % height, i % width);
        let turns = y as f32 / height as f32 + 1.2 * x as f32 / width as f32;
        (c as f32 + TAU * periods * turns).sin()
    };
    let values = (0..4 * height * width).map(wave).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, [1, 4, height, width]), device)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().try_to_vec_as::<f32>().unwrap()
}

fn largest(tensor: Tensor<4>) -> f32 {
    values(&tensor).iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn mean(tensor: Tensor<4>) -> f32 {
    values(&tensor.abs().mean())[0]
}

/// Mean change of `image` from each column to the next.
fn changes(image: &Tensor<4>) -> Vec<f32> {
    let width = image.dims()[3];
    let change = (image.clone().narrow(3, 1, width - 1) - image.clone().narrow(3, 0, width - 1)).abs();
    values(&change.mean_dim(1).mean_dim(2))
}

/// How much steeper the change at columns `border` is than at the steepest other column in the same place of a cell.
fn seam(image: &Tensor<4>, border: Range<usize>) -> f32 {
    let changes = changes(image);
    let elsewhere = |x: usize| {
        let same = (x % 8..changes.len()).step_by(8).filter(|x| !border.contains(x));
        same.map(|x| changes[x]).fold(0.0, f32::max)
    };
    border.clone().map(|x| changes[x] / elsewhere(x)).fold(0.0, f32::max)
}

#[test]
fn tiny_in_tiles_is_tiny_whole() {
    let device = Device::flex();
    let vae = Vae::Tiny(load_tiny(tiny_weights(&device), &tiny_config()).unwrap());
    let latents = smooth(0.5, 70, 41, &device);
    let whole = vae.decode(latents.clone());

    // The receptive field reaches 13 cells: 7 convolutions at the latents' size, 7 at double, 7 at four, 5 at eight times.
    let exact = vae.decode_tiled(latents.clone(), TileConfig { tile: 60, overlap: 53 }).unwrap();
    assert_eq!(exact.dims(), whole.dims());
    let error = largest(exact - whole.clone()) / largest(whole.clone());
    println!("tiny, overlap beyond the receptive field: {error:.2e}");
    assert!(error < 1e-5, "{error}");

    let usual = vae.decode_tiled(latents, TileConfig { tile: 32, overlap: 8 }).unwrap();
    let error = largest(usual - whole.clone()) / largest(whole);
    println!("tiny, tile 32, overlap 8: {error:.2e}");
    assert!(error > 0.0 && error < 0.1, "{error}");
}

#[test]
fn kl_in_tiles_shows_no_seams() {
    let device = Device::flex();
    let vae = Vae::Kl(load_kl(kl_weights(&device), &kl_config()).unwrap());
    // Two by two tiles: of 32 cells with 8 shared, and of 28 cells with none shared. Random weights make much of what a
    // group norm sees: tiles that see different parts of a wave come out as different colours, by about a third.
    let shared = 24 * 8..32 * 8;
    for (periods, allowed) in [(0.5, 0.5), (2.0, 0.05)] {
        let latents = smooth(periods, 56, 56, &device) * 0.13025;
        let whole = vae.decode(latents.clone());
        let decode = |tile, overlap| vae.decode_tiled(latents.clone(), TileConfig { tile, overlap }).unwrap();
        let (faded, abrupt) = (decode(32, 8), decode(28, 0));

        let difference = mean(faded.clone() - whole.clone()) / mean(whole.clone());
        println!("kl, {periods} periods: tiles of 32 with 8 shared differ by {difference:.2e}");
        assert!(difference < allowed, "{difference}");
        for (name, turn) in [("columns", false), ("rows", true)] {
            let seam = |image: &Tensor<4>| {
                seam(&if turn { image.clone().swap_dims(2, 3) } else { image.clone() }, shared.clone())
            };
            let (whole, faded, abrupt) = (seam(&whole), seam(&faded), seam(&abrupt));
            println!("  seam along {name}: whole {whole:.2}, cross-faded {faded:.2}, abrupt {abrupt:.2}");
            assert!(faded < 1.0 && abrupt > 1.0 && faded < abrupt / 2.0, "{faded}, {abrupt}");
        }
    }
}

#[test]
fn latents_within_a_tile_are_decoded_whole() {
    let device = Device::flex();
    let vae = Vae::Kl(load_kl(kl_weights(&device), &kl_config()).unwrap());
    let latents = smooth(0.5, 16, 11, &device);
    let whole = values(&vae.decode(latents.clone()));
    for tile in [16, 64] {
        let tiled = vae.decode_tiled(latents.clone(), TileConfig { tile, overlap: 4 }).unwrap();
        assert!(values(&tiled).iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

/// With a decoder that changes nothing, tiles of whatever size must give back the latents.
#[test]
fn tiles_cover_every_size() {
    let device = Device::flex();
    for (height, width) in [(1, 1), (5, 17), (16, 40), (23, 9), (64, 33)] {
        for (tile, overlap) in [(8, 0), (8, 1), (8, 4), (8, 7), (1, 0), (13, 5)] {
            let latents = smooth(0.5, height, width, &device);
            let mut seen = 0;
            let tiled = decode_tiled(latents.clone(), TileConfig { tile, overlap }, 1, |x| {
                let [_, _, h, w] = x.dims();
                assert_eq!([h, w], [height.min(tile), width.min(tile)]);
                seen += 1;
                Ok(x)
            })
            .unwrap();
            let tiles = TiledDecode::new(latents.clone(), TileConfig { tile, overlap }, 1).unwrap();
            assert_eq!(seen, tiles.len());
            assert_eq!(tiled.dims(), latents.dims());
            assert!(largest(tiled - latents) < 1e-6, "{width}x{height} in tiles of {tile} with {overlap}");
        }
    }
}

#[test]
fn bad_tiles_and_failures_are_reported() {
    let device = Device::flex();
    let latents = smooth(0.5, 20, 20, &device);
    let run = |tile, overlap| decode_tiled(latents.clone(), TileConfig { tile, overlap }, 1, Ok).map(drop);
    for (tile, overlap) in [(0, 0), (8, 8), (8, 9)] {
        let message = run(tile, overlap).unwrap_err().to_string();
        assert_eq!(message, format!("overlap: {overlap} cells are not fewer than a tile's {tile}"));
    }
    let mut left = 2;
    let stopped = decode_tiled(latents.clone(), TileConfig { tile: 8, overlap: 2 }, 1, |x| {
        left -= 1;
        if left == 0 { Err(Error::Cancelled) } else { Ok(x) }
    });
    assert_eq!(stopped.unwrap_err().code(), "CANCELLED");

    let mut unfinished = TiledDecode::new(latents, TileConfig { tile: 10, overlap: 0 }, 1).unwrap();
    unfinished.push(unfinished.next_tile().unwrap());
    assert_eq!(unfinished.finish().unwrap_err().to_string(), "internal error: 1 of 4 tiles were decoded");
}

#[test]
fn tiles_are_sized_by_memory() {
    let device = Device::flex();
    let kl = Vae::Kl(load_kl(kl_weights(&device), &kl_config()).unwrap());
    let tiny = Vae::Tiny(load_tiny(tiny_weights(&device), &tiny_config()).unwrap());
    // The level outside has 16 channels coming in, at 8 by 8 pixels a cell; tiny has 8 there.
    assert_eq!((kl.peak_values_per_cell(), tiny.peak_values_per_cell()), (16 * 64, 8 * 64));
    let sdxl = 256 * 64;
    let tile = |bytes| TileConfig::fitting(sdxl, bytes).tile;
    assert_eq!([tile(128 << 20), tile(256 << 20), tile(64 << 20), tile(0)], [40, 64, 32, 16]);
}
