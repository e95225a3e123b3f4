//! What a run tells its caller without failing: something was asked for that the model cannot take whole.

use serde::Serialize;

/// A part of a request that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(rename = "RunWarning"))]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    pub code: WarningCode,
    /// The option that it is about.
    pub field: String,
    pub message: String,
    /// How much was left out, in tokens.
    pub lost: usize,
    /// How much the model takes, in tokens.
    pub limit: usize,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WarningCode {
    /// A prompt is longer than the model reads.
    PromptTruncated,
}

impl Warning {
    /// Of a prompt in `field` that is `lost` tokens longer than the `limit`, which counts `</s>`.
    pub fn truncated(field: &str, lost: usize, limit: usize) -> Self {
        let message = format!("{field}: its last {lost} tokens are beyond the {limit} that the model reads");
        Self { code: WarningCode::PromptTruncated, field: field.into(), message, lost, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_reads_code_and_counts() {
        let json = serde_json::to_value(Warning::truncated("prompt", 3, 20)).unwrap();
        assert_eq!(json["code"], "PROMPT_TRUNCATED");
        assert_eq!((&json["lost"], &json["limit"]), (&3.into(), &20.into()));
    }
}
