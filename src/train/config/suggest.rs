//! What was meant by a setting that does not exist.

use strsim::levenshtein;

/// A deserializer's message about an unknown field, with the nearest known one instead of all of them.
pub fn suggest(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let mut names = rest.split('`').step_by(2);
    let Some(unknown) = names.next() else { return message.to_owned() };
    let nearest = names.filter(|n| !n.is_empty()).min_by_key(|name| distance(unknown, name));
    match nearest.filter(|name| distance(unknown, name) * 2 <= unknown.len().max(name.len())) {
        Some(name) => format!("unknown field `{unknown}`; did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

/// Edits that make one name of the other; upper and lower case are the same, and so are `_` and nothing.
fn distance(a: &str, b: &str) -> usize {
    let plain = |s: &str| s.replace(['_', '-'], "").to_lowercase();
    levenshtein(&plain(a), &plain(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_where_one_is_near() {
        let message =
            |name: &str| format!("unknown field `{name}`, expected one of `seed`, `steps`, `weightDecay`, `lr`");
        for (name, meant) in [("sed", "seed"), ("step", "steps"), ("weight_decay", "weightDecay"), ("LR", "lr")] {
            assert_eq!(suggest(&message(name)), format!("unknown field `{name}`; did you mean `{meant}`?"));
        }
        assert_eq!(suggest(&message("momentum")), message("momentum"));
        assert_eq!(suggest("missing field `lr`"), "missing field `lr`");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
