//! Values on their way between JavaScript and Rust.

use js_sys::{Float32Array, Object, Reflect, Uint8Array, Uint8ClampedArray};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::error::Error;
use crate::pipeline::image::Image;
use crate::pipeline::options::Values;
use crate::pipeline::picture::Picture;

pub fn throw(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    let details = to_js(&error.details()).unwrap_or(JsValue::UNDEFINED);
    for (key, value) in [("code", JsValue::from_str(error.code())), ("details", details)] {
        let _ = Reflect::set(&thrown, &key.into(), &value);
    }
    thrown.into()
}

pub fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| throw(Error::internal(e.to_string())))
}

/// Reads an options object; the path of the property at fault is the error's field.
pub fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    serde_path_to_error::deserialize(serde_wasm_bindgen::Deserializer::from(value))
        .map_err(|e| throw(Error::input(e.path().to_string(), e.inner().to_string())))
}

pub fn object(entries: &[(&str, JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (key, value) in entries {
        Reflect::set(&object, &(*key).into(), value)?;
    }
    Ok(object.into())
}

/// A property, which the object then no longer has.
pub fn take(object: &Object, key: &str) -> Result<JsValue, JsValue> {
    let value = Reflect::get(object, &key.into())?;
    Reflect::delete_property(object, &key.into())?;
    Ok(value)
}

/// Reads `{ width, height, data }` of RGBA bytes, or values `{ shape, data }`.
pub fn picture(value: JsValue, field: &str) -> Result<Picture, JsValue> {
    let fault = |reason: &str| throw(Error::input(field, reason));
    if !value.is_object() {
        return Err(fault("it is missing"));
    }
    if Reflect::has(&value, &"shape".into())? {
        return from_js(value).map(Picture::Values);
    }
    let side = |key: &str| {
        let number = Reflect::get(&value, &key.into())?.as_f64().filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v));
        number.map(|v| v as usize).ok_or_else(|| fault(&format!("its {key} is not a whole number")))
    };
    let (width, height) = (side("width")?, side("height")?);
    let data = Reflect::get(&value, &"data".into())?;
    let data = match (data.dyn_ref::<Uint8ClampedArray>(), data.dyn_ref::<Uint8Array>()) {
        (Some(data), _) => data.to_vec(),
        (_, Some(data)) => data.to_vec(),
        _ => return Err(fault("its data are not bytes")),
    };
    Ok(Picture::Bytes(Image { width, height, data }))
}

pub fn image_to_js(image: &Image) -> Result<JsValue, JsValue> {
    let data = Uint8ClampedArray::from(&image.data[..]);
    object(&[("width", image.width.into()), ("height", image.height.into()), ("data", data.into())])
}

pub fn values_to_js(values: &Values) -> Result<JsValue, JsValue> {
    object(&[("shape", to_js(&values.shape)?), ("data", Float32Array::from(&values.data[..]).into())])
}
