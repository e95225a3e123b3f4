//! The table: what is wrong, the command that meets it, the code it ends with and the words its message holds.

use serde_json::{Value, json};

use crate::make::{Scratch, fixture};

/// A line of the table.
pub struct Case {
    pub what: &'static str,
    /// Prepares the folder and gives the arguments.
    pub make: fn(&Scratch) -> Vec<String>,
    pub code: &'static str,
    pub names: &'static [&'static str],
}

const fn case(
    what: &'static str,
    code: &'static str,
    names: &'static [&'static str],
    make: fn(&Scratch) -> Vec<String>,
) -> Case {
    Case { what, make, code, names }
}

fn args(all: &[&str]) -> Vec<String> {
    all.iter().map(|arg| (*arg).to_owned()).collect()
}

fn verify() -> Vec<String> {
    args(&["verify", "bundle"])
}

/// A picture of the bundle in the folder.
fn generate() -> Vec<String> {
    args(&["generate", "bundle", "--prompt", "a red circle", "--steps", "1", "--out", "x.png"])
}

/// A picture of the good bundle, with more options.
fn good(more: &[&str]) -> Vec<String> {
    [args(&["generate", &fixture(), "--prompt", "a red circle", "--steps", "1", "--out", "x.png"]), args(more)].concat()
}

fn convert(_: String) -> Vec<String> {
    args(&["convert", "m.pth", "--out", "o", "--heads", "4", "--sample-size", "8"])
}

/// A run's settings with `extra` lines of its only stage.
fn train(s: &Scratch, extra: &str) -> Vec<String> {
    s.write("tokenizer.json", std::fs::read(format!("{}/tokenizer.json", fixture())).unwrap());
    let text = format!(
        "source = \"scenes\"\nout = \"out\"\nwork = \"work\"\nseed = 1\n{extra}\n[model]\ntokenizer = \"tokenizer.json\"\n"
    );
    s.write("run.toml", text);
    args(&["train", "base", "run.toml"])
}

fn replaces(times: usize) -> Value {
    let one = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aa" });
    json!({ "type": "Sequence", "normalizers": vec![one; times] })
}

fn merge(s: &Scratch) {
    s.tokenizer(|t| t["model"] = json!({ "type": "BPE", "vocab": { "a": 3, "b": 4 }, "merges": ["a b"] }));
}

pub const CASES: &[Case] = &[
    case("tokenizer: id 2^31, verify", "MODEL_INVALID", &["tokenizer.json", "2147483648", "vocabSize is 47"], |s| {
        s.tokenizer(|t| t["model"]["vocab"]["<unk>"] = (1u64 << 31).into());
        verify()
    }),
    case("tokenizer: id 2^31, generate", "MODEL_INVALID", &["tokenizer.json", "2147483648", "vocabSize is 47"], |s| {
        s.tokenizer(|t| t["model"]["vocab"]["<unk>"] = (1u64 << 31).into());
        generate()
    }),
    case("tokenizer: id 2^25 + 5", "MODEL_INVALID", &["\"red\"", "33554437"], |s| {
        s.tokenizer(|t| t["model"]["vocab"]["red"] = ((1u64 << 25) + 5).into());
        generate()
    }),
    case("tokenizer: a piece of 65536 bytes", "MODEL_INVALID", &["tokenizer.json", "65536 bytes", "1024"], |s| {
        s.tokenizer(|t| t["model"]["vocab"]["a".repeat(65_536)] = 3.into());
        verify()
    }),
    case("tokenizer: a merge without its result", "MODEL_INVALID", &["model.merges[0]", "\"ab\""], |s| {
        merge(s);
        verify()
    }),
    case("tokenizer: forty doublings", "MODEL_INVALID", &["normalizer.normalizers[3]", "16 times"], |s| {
        s.tokenizer(|t| t["normalizer"] = replaces(40));
        generate()
    }),
    case("pickle: 32 MiB of marks", "INTEGRITY", &["m.pth", "16777216 bytes"], |s| {
        convert(s.pickle(&vec![b'('; 32 << 20]))
    }),
    case("pickle: 16 MiB of marks", "MODEL_INVALID", &["m.pth", "1048576 values"], |s| {
        convert(s.pickle(&vec![b'('; 16 << 20]))
    }),
    case("pickle: a tuple of a million, called a million times", "MODEL_INVALID", &["1048576 values"], |s| {
        let wide = [b"ctorch\ndevice\nq\x00(".to_vec(), b"N".repeat(500_000), b"tq\x01".to_vec()].concat();
        convert(s.pickle(&[wide, b"h\x00h\x01R".repeat(1_000_000)].concat()))
    }),
    case("pickle: code", "MODEL_INVALID", &["os.system"], |s| {
        convert(s.pickle(b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85R."))
    }),
    case("size: a side beyond any", "INVALID_INPUT", &["width", "1048576"], |_| good(&["--width", "1048576"])),
    case("size: sampleSize 2^20", "MANIFEST_INVALID", &["sampleSize"], |s| {
        s.manifest(|m| m["parts"]["transformer"]["sampleSize"] = (1 << 20).into());
        verify()
    }),
    case(
        "size: a shape whose product wraps",
        "MANIFEST_INVALID",
        &["transformer.proj_out.weight", "not possible"],
        |s| {
            s.manifest(|m| m["tensors"]["transformer.proj_out.weight"]["shape"] = json!([1u64 << 32, 1u64 << 32]));
            verify()
        },
    ),
    case("training: a stage of 2^62 steps", "INVALID_INPUT", &["stage[0].steps"], |s| {
        train(s, "[[stage]]\nsize = 64\nbatch = 4\nsteps = 4611686018427387904\nlr = 1e-3")
    }),
    case("training: a batch of terabytes", "INVALID_INPUT", &["stage[0].batch", "bytes"], |s| {
        train(s, "[[stage]]\nsize = 4096\nbatch = 65536\nsteps = 1\nlr = 1e-3")
    }),
    case("training: out is ..", "INVALID_INPUT", &["out"], |s| {
        let run = train(s, "[[stage]]\nsize = 64\nbatch = 4\nsteps = 1000000\nlr = 1e-3");
        let text = std::fs::read_to_string(s.path().join("run.toml")).unwrap();
        s.write("run.toml", text.replace("out = \"out\"", "out = \"..\""));
        run
    }),
    case("values: a weight that is NaN, verify", "MODEL_INVALID", &["transformer.proj_out.weight", "NaN"], |s| {
        s.value("transformer.proj_out.weight", f32::NAN);
        verify()
    }),
    case(
        "values: a weight that is infinite, generate",
        "MODEL_INVALID",
        &["transformer.proj_out.weight", "inf"],
        |s| {
            s.value("transformer.proj_out.weight", f32::INFINITY);
            generate()
        },
    ),
    case("output: a device", "INVALID_INPUT", &["out", "/dev/null", "a device"], |_| {
        args(&["probe", &fixture(), "--part", "text-encoder", "--prompts", "p.json", "--out", "/dev/null"])
    }),
    case("output: a folder", "INVALID_INPUT", &["save-latents", "a folder"], |_| good(&["--save-latents", "/tmp"])),
    case("output: no such folder", "IO", &["none/routing.json"], |_| good(&["--save-routing", "none/routing.json"])),
    case("input: a device", "IO", &["/dev/zero", "a device"], |_| {
        args(&["probe", &fixture(), "--part", "text-encoder", "--prompts", "/dev/zero", "--out", "x.safetensors"])
    }),
    case("input: a folder", "IO", &["a folder"], |_| good(&["--latents", "/"])),
    case("picture: a profile of 128 MiB, a mask in colours", "INVALID_INPUT", &["mask", "in colours"], |s| {
        let png = s.png(128 << 20);
        args(&[
            "inpaint",
            &fixture(),
            "--prompt",
            "a",
            "--steps",
            "1",
            "--image",
            &png,
            "--mask",
            &png,
            "--out",
            "x.png",
        ])
    }),
    case("manifest: no files", "MANIFEST_INVALID", &["files"], |s| {
        s.manifest(|m| {
            m["files"] = json!([]);
            m["tensors"] = json!({});
            m["parts"].as_object_mut().unwrap().remove("tokenizer");
        });
        verify()
    }),
    case("manifest: a misspelt field", "MANIFEST_INVALID", &["routng"], |s| {
        s.manifest(|m| m["routng"] = json!({}));
        verify()
    }),
    case("manifest: a misspelt field, deep", "MANIFEST_INVALID", &["parts.transformer", "layrs"], |s| {
        s.manifest(|m| m["parts"]["transformer"]["layrs"] = 8.into());
        verify()
    }),
    case("manifest: a field of another type", "MANIFEST_INVALID", &["files[1].bytes"], |s| {
        s.manifest(|m| m["files"][1]["bytes"] = "many".into());
        verify()
    }),
    case("manifest: a tensor twice", "MANIFEST_INVALID", &["tensors", "twice"], |s| {
        let path = s.bundle().join("diffcr.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let entry = r#""a": {"shape": [1], "encoding": "f32", "file": "f"}"#;
        let (before, after) = text.split_once("\"tensors\": {").unwrap();
        std::fs::write(path, format!("{before}\"tensors\": {{{entry}, {entry},{after}")).unwrap();
        verify()
    }),
    case("manifest: another version", "MANIFEST_INVALID", &["version", "0123456789abcdef"], |s| {
        s.manifest(|m| m["version"] = "0123456789abcdef".into());
        verify()
    }),
    case("manifest: a preset called off", "MANIFEST_INVALID", &["preset \"off\""], |s| {
        s.manifest(|m| {
            let preset = json!({ "name": "off", "keep": [[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]] });
            m["routing"] = json!({ "bins": [1.0, 0.5], "regions": 1, "scoreScale": "mlp", "scoreGain": 1.0, "presets": [preset], "default": "off" });
        });
        verify()
    }),
    case("manifest: a gain beyond any number", "MANIFEST_INVALID", &["scoreGain"], |s| {
        s.manifest(|m| {
            let preset = json!({ "name": "learned", "keep": [[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]] });
            m["routing"] = json!({ "bins": [1.0, 0.5], "regions": 1, "scoreScale": "mlp", "scoreGain": 1e300, "presets": [preset], "default": "learned" });
        });
        verify()
    }),
];
