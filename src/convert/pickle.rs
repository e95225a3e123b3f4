//! A pickle is read as data and never executed: a few opcodes, the globals a state dict needs, and a refusal by name of any other.
//!
//! Containers live in an arena and values refer to them by index, so that cycles and deep nesting in a hostile file cost nothing.

use std::collections::HashMap;
use std::rc::Rc;

use crate::error::{Error, Result};

/// What a pickle holds.
#[derive(Debug, Clone)]
pub enum Value {
    None,
    Int(i64),
    Text(Rc<str>),
    /// An index of [`Pickle::lists`]: lists and tuples.
    List(usize),
    /// An index of [`Pickle::dicts`].
    Dict(usize),
    /// An allowed global, `module.name`.
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
    /// Floats, bytes, devices: things no tensor depends on.
    Other,
    Mark,
}

/// A block of memory that tensors are views of.
#[derive(Debug, PartialEq, Eq)]
pub struct Storage {
    /// `FloatStorage`, `HalfStorage`, …
    pub kind: Rc<str>,
    pub key: Rc<str>,
    pub elements: usize,
}

/// A tensor: a view of a storage.
#[derive(Debug)]
pub struct Tensor {
    pub storage: Rc<Storage>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The globals a state dict is made of; a storage type is `torch.…Storage`.
const ALLOWED: [&str; 6] = [
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
];

/// Values that a pickle makes, at most: ten times those of the largest state dicts, optimizer included.
const MAX_VALUES: usize = 1 << 20;
/// Bytes of a text that is kept: no tensor's name is longer.
const MAX_TEXT: usize = 1 << 10;
/// Dimensions of a tensor.
const MAX_RANK: usize = 8;

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle {
    pub root: Value,
    pub lists: Vec<Vec<Value>>,
    pub dicts: Vec<Vec<(Value, Value)>>,
    /// Bytes it took.
    pub len: usize,
}

/// What stops the reading.
type Fault = String;

/// Reads the pickle at the start of `bytes`. `file` names it in errors.
pub fn read(file: &str, bytes: &[u8]) -> Result<Pickle> {
    let mut machine =
        Machine { input: bytes, at: 0, made: 0, stack: vec![], memo: HashMap::new(), lists: vec![], dicts: vec![] };
    let fault = |at: usize, fault: Fault| Error::model(file, format!("pickle: {fault} (byte {at})"));
    loop {
        let at = machine.at;
        let opcode = machine.byte().map_err(|f| fault(at, f))?;
        if opcode == b'.' {
            let root = machine.pop().map_err(|f| fault(at, f))?;
            return Ok(Pickle { root, lists: machine.lists, dicts: machine.dicts, len: machine.at });
        }
        machine.step(opcode).map_err(|f| fault(at, f))?;
    }
}

/// The stack machine of the pickle format.
struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    /// Values made so far, on the stack or gone.
    made: usize,
    stack: Vec<Value>,
    memo: HashMap<usize, Value>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl Machine<'_> {
    fn step(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            0x80 => self.skip(1)?, // PROTO
            0x95 => self.skip(8)?, // FRAME
            b'(' => self.push(Value::Mark)?,
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Other)?, // NEWTRUE, NEWFALSE
            b'G' => self.skip(8).and_then(|()| self.push(Value::Other))?, // BINFLOAT
            b'J' => {
                let value = self.array().map(i32::from_le_bytes)?;
                self.push(Value::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()))?;
            }
            b'M' => {
                let value = self.array().map(u16::from_le_bytes)?;
                self.push(Value::Int(value.into()))?;
            }
            0x8A => self.long()?,
            b'U' | 0x8C => self.byte().map(usize::from).and_then(|n| self.text(n))?,
            b'T' | b'X' => self.length().and_then(|n| self.text(n))?,
            b'C' => self.byte().map(usize::from).and_then(|n| self.skip(n)).and_then(|()| self.push(Value::Other))?,
            b'B' => self.length().and_then(|n| self.skip(n)).and_then(|()| self.push(Value::Other))?,
            b'q' => self.byte().map(usize::from).and_then(|i| self.put(i))?,
            b'r' => self.length().and_then(|i| self.put(i))?,
            0x94 => self.put(self.memo.len())?, // MEMOIZE
            b'h' => self.byte().map(usize::from).and_then(|i| self.get(i))?,
            b'j' => self.length().and_then(|i| self.get(i))?,
            b'}' => self.dict()?,
            b']' | b')' => self.list(vec![])?,
            0x85..=0x87 => {
                let mut items = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?; // TUPLE1..3
                items.reverse();
                self.list(items)?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.list(items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => self.pop_to_mark().and_then(|items| self.append(items))?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => self.pop_to_mark().and_then(|items| self.set(items))?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?.clone();
                self.push(top)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(&module, &name)?,
                _ => return Err("a global has no name".into()),
            },
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            b'b' => drop(self.pop()?), // BUILD: attributes of a dict (`_metadata`) say nothing about its tensors.
            _ => return Err(format!("opcode 0x{opcode:02x} is not one a state dict needs")),
        }
        Ok(())
    }

    /// Only what a state dict needs: anything else could be code.
    fn global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        let full = format!("{module}.{name}");
        let storage = module == "torch" && name.ends_with("Storage") && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !storage && !ALLOWED.contains(&full.as_str()) {
            return Err(format!("the global {full:?} is refused: a checkpoint is read as data, never executed"));
        }
        self.push(Value::Global(full.into()))
    }

    /// `('storage', type, key, location, elements)` becomes a storage.
    fn persistent(&mut self) -> Result<(), Fault> {
        let at = self.pop_list()?;
        let [Value::Text(tag), Value::Global(kind), Value::Text(key), _, Value::Int(elements), rest @ ..] =
            self.items(at)
        else {
            return Err("a persistent id is not a storage".into());
        };
        if &**tag != "storage" || !matches!(rest, [] | [Value::None]) {
            return Err("a persistent id is not a plain storage".into());
        }
        let kind = kind.strip_prefix("torch.").filter(|k| k.ends_with("Storage")).ok_or("a storage has no type")?;
        let elements = size(&Value::Int(*elements))?;
        let storage = Storage { kind: kind.into(), key: key.clone(), elements };
        self.push(Value::Storage(Rc::new(storage)))
    }

    fn reduce(&mut self) -> Result<(), Fault> {
        let at = self.pop_list()?;
        let Value::Global(function) = self.pop()? else { return Err("something that is no function is called".into()) };
        let made = match (&*function, self.items(at)) {
            ("collections.OrderedDict", []) => return self.dict(),
            ("torch._utils._rebuild_parameter", [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                [Value::Storage(storage), offset, shape, strides, ..],
            ) => {
                let tensor = Tensor {
                    storage: storage.clone(),
                    offset: size(offset)?,
                    shape: self.sizes(shape)?,
                    strides: self.sizes(strides)?,
                };
                Value::Tensor(Rc::new(tensor))
            }
            ("torch.Size", [sizes @ Value::List(_)]) => sizes.clone(),
            ("torch.device", _) => Value::Other,
            _ => return Err(format!("{function} is called with arguments it does not take")),
        };
        self.push(made)
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        match value {
            Value::List(i) => match self.items(*i) {
                sizes if sizes.len() > MAX_RANK => {
                    Err(format!("a tensor has {} dimensions, at most {MAX_RANK} are read", sizes.len()))
                }
                sizes => sizes.iter().map(size).collect(),
            },
            _ => Err("a shape is not a tuple".into()),
        }
    }

    fn dict(&mut self) -> Result<(), Fault> {
        self.push(Value::Dict(self.dicts.len()))?;
        self.dicts.push(vec![]);
        Ok(())
    }

    fn list(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        self.push(Value::List(self.lists.len()))?;
        self.lists.push(items);
        Ok(())
    }

    /// The items of a list.
    fn items(&self, at: usize) -> &[Value] {
        self.lists.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every value passes here, and is counted.
    fn push(&mut self, value: Value) -> Result<(), Fault> {
        if self.made == MAX_VALUES {
            return Err(format!("it makes more than {MAX_VALUES} values, which no state dict needs"));
        }
        self.made += 1;
        self.stack.push(value);
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        let Value::List(i) = *self.top()? else { return Err("an item is appended to no list".into()) };
        self.lists.get_mut(i).ok_or("a list is missing")?.extend(items);
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        let Value::Dict(i) = *self.top()? else { return Err("an item is set in no dict".into()) };
        let dict = self.dicts.get_mut(i).ok_or("a dict is missing")?;
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            dict.push((key, items.next().ok_or("a key has no value")?));
        }
        Ok(())
    }

    fn put(&mut self, index: usize) -> Result<(), Fault> {
        let top = self.top()?.clone();
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, index: usize) -> Result<(), Fault> {
        let value = self.memo.get(&index).cloned().ok_or("it refers to something it does not hold")?;
        self.push(value)
    }

    fn top(&self) -> Result<&Value, Fault> {
        self.stack.last().ok_or_else(|| "its stack is empty".into())
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    /// The place of a tuple's items.
    fn pop_list(&mut self) -> Result<usize, Fault> {
        match self.pop()? {
            Value::List(at) => Ok(at),
            _ => Err("arguments are not a tuple".into()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or("its stack has no mark")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// A little-endian integer of any length; the long ones are no size and are kept as [`Value::Other`].
    fn long(&mut self) -> Result<(), Fault> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut value = [if negative { 0xFF } else { 0 }; 8];
        let value = value.get_mut(..bytes.len()).map(|v| v.copy_from_slice(bytes)).map(|()| i64::from_le_bytes(value));
        self.push(value.map_or(Value::Other, Value::Int))
    }

    /// A text; one that is long, or not UTF-8, names nothing and is kept as [`Value::Other`].
    fn text(&mut self, length: usize) -> Result<(), Fault> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_TEXT);
        let value = text.map_or(Value::Other, |text| Value::Text(text.into()));
        self.push(value)
    }

    fn line(&mut self) -> Result<String, Fault> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b'\n').ok_or("a line does not end")?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.skip(1)?;
        Ok(line)
    }

    fn take(&mut self, length: usize) -> Result<&[u8], Fault> {
        let end = self.at.checked_add(length).ok_or("a length is not possible")?;
        let bytes = self.input.get(self.at..end).ok_or("it ends too early")?;
        self.at = end;
        Ok(bytes)
    }

    fn skip(&mut self, length: usize) -> Result<(), Fault> {
        self.take(length).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| "it ends too early".into())
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[b]| b)
    }

    fn length(&mut self) -> Result<usize, Fault> {
        self.array().map(|b| u32::from_le_bytes(b) as usize)
    }
}

fn size(value: &Value) -> Result<usize, Fault> {
    match value {
        Value::Int(n) => usize::try_from(*n).map_err(|_| format!("{n} is not a size")),
        _ => Err("a size is not an integer".into()),
    }
}

#[cfg(test)]
mod tests;
