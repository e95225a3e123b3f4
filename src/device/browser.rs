//! The browser's WebGPU, through a thin stand-in for `navigator.gpu` while wgpu asks it for adapter and device.
//!
//! wgpu's web backend takes no `GPUDevice` that is there already, asks for no feature that it has no name for, and keeps the one
//! it gets to itself. The stand-in gives it the page's device, or adds `subgroups` to what it asks for; and it sees the device, to whose
//! `uncapturederror` events it listens beside the page's own handler. It is in place for as long as making an instance takes, which
//! nothing else runs in between.

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::Device;
use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wgpu::{Backends, Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};

use super::webgpu::{Extras, register};
use crate::error::{Error, Result};

/// A feature that wgpu has no name for in a browser.
const SUBGROUPS: &str = "subgroups";

/// The device that wgpu was given.
type Given = Rc<RefCell<JsValue>>;

/// A device of burn's on the page's `GPUDevice`, or on one of our own.
///
/// # Errors
/// `WebgpuUnavailable` without `navigator.gpu`, `NoAdapter` where that gives none, `InvalidInput` where `page` is no `GPUDevice`.
pub async fn open(page: Option<JsValue>, low_power: bool) -> Result<Device> {
    let gpu = navigator_gpu()
        .ok_or_else(|| Error::WebgpuUnavailable { reason: "this browser has no `navigator.gpu` here".into() })?;
    if page.as_ref().is_some_and(|page| !get(page, "createComputePipeline").is_function()) {
        return Err(Error::input("device", "it is no GPUDevice"));
    }
    let given = Given::default();
    let instance = instance_on(&stand_in(&gpu, page, &given))?;
    let power_preference = if low_power { PowerPreference::LowPower } else { PowerPreference::HighPerformance };
    let options = RequestAdapterOptions { power_preference, ..Default::default() };
    let adapter = instance.request_adapter(&options).await.map_err(|e| Error::NoAdapter { reason: e.to_string() })?;
    let device = register(instance, adapter, || Extras {
        software: is_software(&get(&given.borrow(), "adapterInfo")),
        subgroups: has(&get(&given.borrow(), "features"), SUBGROUPS),
        packed_dot: has(&get(&gpu, "wgslLanguageFeatures"), "packed_4x8_integer_dot_product"),
    })
    .await?;
    report_errors(&given.borrow());
    Ok(device)
}

/// Whether a `GPUAdapterInfo` is of an adapter that computes on the CPU: the names are those of `www/lib/adapter.ts`.
fn is_software(info: &JsValue) -> bool {
    let names = ["description", "architecture", "device", "vendor"];
    let text = names.map(|name| get(info, name).as_string().unwrap_or_default().to_lowercase()).join(" ");
    let known = ["swiftshader", "llvmpipe", "lavapipe", "softpipe", "warp", "rasterizer"];
    get(info, "isFallbackAdapter").is_truthy()
        || text.contains("basic render")
        || text.split(|c: char| !c.is_alphanumeric()).any(|word| known.contains(&word))
}

/// `navigator.gpu`.
fn navigator_gpu() -> Option<JsValue> {
    Some(get(&get(&js_sys::global(), "navigator"), "gpu")).filter(JsValue::is_object)
}

/// An instance of wgpu that takes `gpu` for the browser's.
fn instance_on(gpu: &Object) -> Result<Instance> {
    let fault = |_| Error::WebgpuUnavailable { reason: "`navigator.gpu` cannot be stood in for here".into() };
    let navigator = Object::from(get(&js_sys::global(), "navigator"));
    let before = Object::get_own_property_descriptor(&navigator, &"gpu".into());
    let descriptor = object(&[("value", gpu.clone().into()), ("configurable", true.into()), ("writable", true.into())]);
    Reflect::define_property(&navigator, &"gpu".into(), &descriptor).map_err(fault)?;
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::BROWSER_WEBGPU,
        ..InstanceDescriptor::new_without_display_handle()
    });
    match before.is_undefined() {
        true => Reflect::delete_property(&navigator, &"gpu".into()).map_err(fault)?,
        false => Reflect::define_property(&navigator, &"gpu".into(), &Object::from(before)).map_err(fault)?,
    };
    Ok(instance)
}

/// What wgpu asks instead of `gpu`.
fn stand_in(gpu: &JsValue, page: Option<JsValue>, given: &Given) -> Object {
    let (real, given) = (gpu.clone(), given.clone());
    let request_adapter = function(move |options| {
        let given = given.clone();
        if let Some(device) = &page {
            return Promise::resolve(&adapter_of(device, given)).into();
        }
        let wrap = Closure::once_into_js(move |adapter: JsValue| match adapter.is_object() {
            true => adapter_over(adapter, given),
            false => adapter,
        });
        then(&call(&real, "requestAdapter", &options), &wrap)
    });
    object(&[("requestAdapter", request_adapter), ("wgslLanguageFeatures", get(gpu, "wgslLanguageFeatures"))])
}

/// An adapter whose device is the page's.
fn adapter_of(device: &JsValue, given: Given) -> JsValue {
    let info = get(device, "adapterInfo");
    let page = device.clone();
    let request_device = function(move |_| {
        given.replace(page.clone());
        Promise::resolve(&page).into()
    });
    let entries = [
        ("features", get(device, "features")),
        ("limits", get(device, "limits")),
        ("info", if info.is_object() { info } else { Object::new().into() }),
        ("requestDevice", request_device),
    ];
    object(&entries).into()
}

/// `adapter`, of whose device more is asked than wgpu does, and which is kept.
fn adapter_over(adapter: JsValue, given: Given) -> JsValue {
    let real = adapter.clone();
    let request_device = function(move |descriptor| {
        if has(&get(&real, "features"), SUBGROUPS) {
            let wanted = Array::from(&get(&descriptor, "requiredFeatures"));
            wanted.push(&SUBGROUPS.into());
            let _ = Reflect::set(&descriptor, &"requiredFeatures".into(), &wanted);
        }
        let given = given.clone();
        let keep = Closure::once_into_js(move |device: JsValue| {
            given.replace(device.clone());
            device
        });
        then(&call(&real, "requestDevice", &descriptor), &keep)
    });
    let entries = [
        ("features", get(&adapter, "features")),
        ("limits", get(&adapter, "limits")),
        ("info", get(&adapter, "info")),
        ("requestDevice", request_device),
    ];
    object(&entries).into()
}

/// Logs what goes wrong on `device` outside of any error scope, beside whatever handler its owner has.
fn report_errors(device: &JsValue) {
    let report = function(|event| {
        let error = get(&event, "error");
        log::error!("WebGPU: {}", get(&error, "message").as_string().unwrap_or_default());
        JsValue::UNDEFINED
    });
    if let Ok(listen) = get(device, "addEventListener").dyn_into::<Function>() {
        let _ = listen.call2(device, &"uncapturederror".into(), &report);
    }
}

fn get(of: &JsValue, key: &str) -> JsValue {
    Reflect::get(of, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Whether a set-like of WebGPU's has a name.
fn has(set: &JsValue, name: &str) -> bool {
    call(set, "has", &name.into()).as_bool().unwrap_or(false)
}

/// `of[name](argument)`; a promise that rejects where that throws.
fn call(of: &JsValue, name: &str, argument: &JsValue) -> JsValue {
    let method: Result<Function, _> = get(of, name).dyn_into();
    let called = method.and_then(|method| method.call1(of, argument));
    called.unwrap_or_else(|error| Promise::reject(&error).into())
}

/// `promise.then(next)`.
fn then(promise: &JsValue, next: &JsValue) -> JsValue {
    call(promise, "then", next)
}

fn function(run: impl FnMut(JsValue) -> JsValue + 'static) -> JsValue {
    Closure::<dyn FnMut(JsValue) -> JsValue>::new(run).into_js_value()
}

fn object(entries: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        let _ = Reflect::set(&object, &(*key).into(), value);
    }
    object
}
