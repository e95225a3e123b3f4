//! Pickles written opcode by opcode: what a state dict needs is read, everything else is refused.

use super::*;

/// `{"w": tensor}` as torch.save writes it, with offset 2, shape (3, 2) and strides (1, 3).
fn state_dict() -> Vec<u8> {
    let mut p = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((".to_vec();
    p.extend(b"X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x08tQ");
    p.extend(b"K\x02K\x03K\x02\x86K\x01K\x03\x86\x89ccollections\nOrderedDict\n)RtRs.");
    p
}

fn fault(bytes: &[u8]) -> String {
    let error = read("f.pth", bytes).unwrap_err();
    assert_eq!(error.code(), "MODEL_INVALID");
    error.to_string()
}

#[test]
fn a_tensor_is_found_with_its_view() {
    let bytes = [state_dict(), b"rest".to_vec()].concat();
    let pickle = read("f.pth", &bytes).unwrap();
    assert_eq!(pickle.len, bytes.len() - 4);
    let Value::Dict(root) = pickle.root else { panic!("{:?}", pickle.root) };
    let (Value::Text(name), Value::Tensor(tensor)) = &pickle.dicts[root][0] else { panic!("{:?}", pickle.dicts) };
    assert_eq!(&**name, "w");
    assert_eq!((tensor.offset, tensor.shape.as_slice(), tensor.strides.as_slice()), (2, &[3, 2][..], &[1, 3][..]));
    assert_eq!(*tensor.storage, Storage { kind: "FloatStorage".into(), key: "0".into(), elements: 8 });
}

#[test]
fn code_is_refused_by_name() {
    // os.system("true"), as protocol 0/2 and as protocol 4 write it.
    assert!(fault(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").contains("the global \"os.system\" is refused"));
    let stack_global = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.";
    assert!(fault(stack_global).contains("the global \"builtins.eval\" is refused"));
    assert!(fault(b"\x80\x02ctorch.storage\n_load_from_bytes\n.").contains("torch.storage._load_from_bytes"));
    assert!(fault(b"\x80\x02ctorch\nos.Storage\n.").contains("is refused"));
    assert!(fault(b"\x80\x02ccollections\nOrderedDict\n)\x81.").contains("opcode 0x81"));
    assert!(fault(b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.").contains("arguments it does not take"));
}

#[test]
fn damage_is_an_error_and_not_a_panic() {
    let good = state_dict();
    for end in 0..good.len() {
        fault(&good[..end]);
    }
    for bytes in [
        &b"."[..],
        b"0.",
        b"R.",
        b"u.",
        b"h\x05.",
        b"(.",
        b"a.",
        b"Q.",
        b"\x8a\x09123456789\x86.",
        b"X\xff\xff\xff\xff",
    ] {
        let _ = read("f.pth", bytes);
    }
    // A pickle of a million nested tuples is a million small lists.
    let deep = [b"N".to_vec(), vec![0x85; MAX_VALUES - 1], b".".to_vec()].concat();
    assert_eq!(read("f.pth", &deep).unwrap().lists.len(), MAX_VALUES - 1);
}

/// Small inputs that ask for much: each ends at a limit, at once.
#[test]
fn what_asks_for_much_is_refused_at_once() {
    let started = std::time::Instant::now();
    let all = [&b"("[..], b"]", b"}", b"N", b"]q\x00h\x00", b"]2", b")\x94"];
    for opcodes in all {
        assert!(fault(&opcodes.repeat(MAX_VALUES + 1)).contains("more than 1048576 values"), "{opcodes:?}");
    }
    // A tuple of half a million items is called with, again and again: none of them is copied.
    let wide = [b"ctorch\ndevice\nq\x00(".to_vec(), b"N".repeat(MAX_VALUES / 2), b"tq\x01".to_vec()].concat();
    assert!(fault(&[wide, b"h\x00h\x01R".repeat(MAX_VALUES)].concat()).contains("values"));
    let mut shape = state_dict();
    let (at, old) = (shape.windows(6).position(|w| w == b"K\x02K\x03K\x02").unwrap() + 2, b"K\x03K\x02\x86");
    shape.splice(at..at + old.len(), [b"(".to_vec(), b"K\x01".repeat(9), b"t".to_vec()].concat());
    assert!(fault(&shape).contains("a tensor has 9 dimensions, at most 8 are read"));
    // A machine that does other work beside takes a second for each.
    assert!(started.elapsed().as_secs() < 3 * (all.len() as u64 + 2), "{:?}", started.elapsed());
}

#[test]
fn long_texts_name_nothing() {
    let text = |length: u32| [&b"X"[..], &length.to_le_bytes(), &vec![b'a'; length as usize], b"."].concat();
    assert!(matches!(read("f.pth", &text(1024)).unwrap().root, Value::Text(_)));
    assert!(matches!(read("f.pth", &text(1025)).unwrap().root, Value::Other));
}
