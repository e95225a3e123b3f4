//! The drawings: read from the icon sets where they are installed, rasterized when asked for, kept while there is room.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::FilterType;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use serde::Deserialize;

use super::concepts::concepts;
use super::tint::{Profile, repaint, repaint_svg, straight};
use super::words::{Style, Tint};
use crate::error::{Error, Result};

/// Where `npm ci` in `tools/stickers-art` puts the sets, seen from the checkout.
pub const INSTALLED: &str = "tools/stickers-art/node_modules";
const FLAT: &str = "@iconify-json/fluent-emoji-flat/icons.json";
const GLOSSY: &str = "@lobehub/fluent-emoji-3d/assets";
/// Bytes of rasterized drawings that are kept.
const CACHE_BYTES: usize = 1 << 30;
/// Side of the raster whose colours a drawing is known by.
const PROFILE_SIDE: usize = 64;

/// A rasterized drawing: `side × side` premultiplied RGBA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    pub side: usize,
    pub pixels: Vec<[u8; 4]>,
}

/// Where a drawing comes from.
#[derive(Debug, Clone)]
enum Drawing {
    Svg { body: String, width: f32, height: f32 },
    File(PathBuf),
}

/// A concept's index, a style, a tint or the natural colours, and pixels of a side.
type Key = (usize, Style, Option<Tint>, usize);

/// The drawings of every concept in every style that has it.
#[derive(Debug, Clone, Default)]
pub struct Art {
    drawings: HashMap<(usize, Style), Drawing>,
    profiles: HashMap<(usize, Style), Profile>,
    sprites: HashMap<Key, Arc<Sprite>>,
    bytes: usize,
}

/// An icon set of Iconify.
#[derive(Deserialize)]
struct IconSet {
    icons: HashMap<String, Icon>,
    #[serde(default)]
    aliases: HashMap<String, Alias>,
    width: Option<f32>,
    height: Option<f32>,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
    width: Option<f32>,
    height: Option<f32>,
}

#[derive(Deserialize)]
struct Alias {
    parent: String,
}

impl Art {
    /// Reads the sets from `dir`, a `node_modules`.
    ///
    /// # Errors
    /// `Io` naming the file that is not there, `InvalidInput` naming one that is no icon set or lacks a concept.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut art = Self::default();
        art.read_set(Style::Flat, &dir.join(FLAT))?;
        for (index, concept) in concepts().iter().enumerate().filter(|(_, c)| c.has(Style::Glossy)) {
            let path = dir.join(GLOSSY).join(format!("{}.webp", concept.glyph));
            if !path.is_file() {
                return Err(missing(&path, std::io::ErrorKind::NotFound.into()));
            }
            art.drawings.insert((index, Style::Glossy), Drawing::File(path));
        }
        Ok(art)
    }

    /// Drawings of the caller's own: `svg(concept, style)` is the body of an SVG of 32 × 32.
    pub fn drawn(svg: impl Fn(usize, Style) -> String) -> Self {
        let mut art = Self::default();
        for (index, concept) in concepts().iter().enumerate() {
            for &style in Style::ALL.iter().filter(|s| concept.has(**s)) {
                let drawing = Drawing::Svg { body: svg(index, style), width: 32.0, height: 32.0 };
                art.drawings.insert((index, style), drawing);
            }
        }
        art
    }

    fn read_set(&mut self, style: Style, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).map_err(|e| missing(path, e))?;
        let at = |reason: String| Error::input(path.display().to_string(), reason);
        let set: IconSet = serde_json::from_slice(&bytes).map_err(|e| at(e.to_string()))?;
        for (index, concept) in concepts().iter().enumerate().filter(|(_, c)| c.has(style)) {
            let name = set.aliases.get(concept.icon).map_or(concept.icon, |alias| alias.parent.as_str());
            let icon = set.icons.get(name).ok_or_else(|| at(format!("it has no icon {:?}", concept.icon)))?;
            let width = icon.width.or(set.width).unwrap_or(16.0);
            let height = icon.height.or(set.height).unwrap_or(16.0);
            self.drawings.insert((index, style), Drawing::Svg { body: icon.body.clone(), width, height });
        }
        Ok(())
    }

    /// The drawing at `side × side` pixels.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such drawing, or it cannot be read.
    pub fn sprite(&mut self, concept: usize, style: Style, tint: Option<Tint>, side: usize) -> Result<Arc<Sprite>> {
        let key = (concept, style, tint, side);
        if let Some(sprite) = self.sprites.get(&key) {
            return Ok(sprite.clone());
        }
        let sprite = Arc::new(match tint {
            Some(tint) => {
                let profile = self.profile(concept, style)?;
                match self.drawing(concept, style)? {
                    Drawing::Svg { body, width, height } => {
                        rasterize(&repaint_svg(body, tint, &profile), *width, *height, side)?
                    }
                    Drawing::File(_) => tinted(self.sprite(concept, style, None, side)?.as_ref(), tint, &profile),
                }
            }
            None => match self.drawing(concept, style)? {
                Drawing::Svg { body, width, height } => rasterize(body, *width, *height, side)?,
                Drawing::File(path) => read(path, side)?,
            },
        });
        let bytes = sprite.pixels.len() * 4;
        if self.bytes + bytes <= CACHE_BYTES {
            self.bytes += bytes;
            self.sprites.insert(key, sprite.clone());
        }
        Ok(sprite)
    }

    /// What the drawing's natural colours are like.
    ///
    /// # Errors
    /// As [`Self::sprite`].
    pub fn profile(&mut self, concept: usize, style: Style) -> Result<Profile> {
        if let Some(profile) = self.profiles.get(&(concept, style)) {
            return Ok(*profile);
        }
        let profile = Profile::of(&self.sprite(concept, style, None, PROFILE_SIDE)?.pixels);
        self.profiles.insert((concept, style), profile);
        Ok(profile)
    }

    fn drawing(&self, concept: usize, style: Style) -> Result<&Drawing> {
        let name = concepts().get(concept).map_or("nothing", |c| c.icon);
        let absent = || Error::input("stickers", format!("there is no {} drawing of {name:?}", style.name()));
        self.drawings.get(&(concept, style)).ok_or_else(absent)
    }
}

fn missing(path: &Path, error: std::io::Error) -> Error {
    let hint = format!("{error}; the stickers' art comes with `npm ci` in tools/stickers-art");
    Error::io(path, std::io::Error::new(error.kind(), hint))
}

fn rasterize(body: &str, width: f32, height: f32, side: usize) -> Result<Sprite> {
    let fault = |reason: String| Error::input("stickers", format!("a drawing is not to be rasterized: {reason}"));
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">{body}</svg>"
    );
    let tree = Tree::from_str(&svg, &Options::default()).map_err(|e| fault(e.to_string()))?;
    let pixels = u32::try_from(side).ok().and_then(|side| Pixmap::new(side, side));
    let mut pixels = pixels.ok_or_else(|| fault(format!("{side} pixels of a side")))?;
    let scale = side as f32 / width.max(height);
    let shift = |length: f32| (side as f32 - length * scale) / 2.0;
    let transform = Transform::from_scale(scale, scale).post_translate(shift(width), shift(height));
    resvg::render(&tree, transform, &mut pixels.as_mut());
    let pixels = pixels.data().chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect();
    Ok(Sprite { side, pixels })
}

/// A rendering from a file.
fn read(path: &Path, side: usize) -> Result<Sprite> {
    let fault = |reason: String| Error::input(path.display().to_string(), reason);
    let image = image::open(path).map_err(|e| fault(e.to_string()))?;
    let pixels = u32::try_from(side).map_err(|_| fault(format!("{side} pixels of a side")))?;
    let mut image = image.into_rgba8();
    for pixel in image.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        pixel.0 = [over(r, a), over(g, a), over(b, a), a];
    }
    if image.width() != pixels || image.height() != pixels {
        image = image::imageops::resize(&image, pixels, pixels, FilterType::Triangle);
    }
    Ok(Sprite { side, pixels: image.pixels().map(|p| p.0).collect() })
}

fn tinted(natural: &Sprite, tint: Tint, profile: &Profile) -> Sprite {
    let mut sprite = natural.clone();
    for pixel in sprite.pixels.iter_mut().filter(|p| p[3] > 0) {
        let [r, g, b, a] = *pixel;
        let color = straight([r, g, b], a).map(|v| (v * 255.0).round() as u8);
        let [r, g, b] = repaint(color, tint, profile);
        *pixel = [over(r, a), over(g, a), over(b, a), a];
    }
    sprite
}

/// Premultiplied.
fn over(value: u8, alpha: u8) -> u8 {
    ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8
}
