//! The scheduler's configuration: the noise schedule and the solver, and a refusal by name of what would change the picture.

use serde_json::{Value, json};

use super::json::Config;
use crate::bundle::config::{BetaSchedule, Prediction, SchedulerConfig, SolverKind};
use crate::error::Result;

/// Settings that no solver here has.
const MUST_BE_OFF: [&str; 8] = [
    "rescale_betas_zero_snr",
    "thresholding",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
    "use_dynamic_shifting",
];

/// The noise schedule of a `scheduler_config.json` of any class, for another `solver` than its own: what only its own reads is left aside.
///
/// # Errors
/// `ModelInvalid` naming what would make it another schedule, or what the file leaves to a class's defaults that are not known here.
pub fn with_solver(config: &Config, solver: SolverKind) -> Result<SchedulerConfig> {
    let class = config.text("_class_name")?.unwrap_or_default();
    if class.contains("FlowMatch") {
        return Err(
            config.fault("_class_name", format_args!("{class:?} has no betas, which every PixArt was trained with"))
        );
    }
    if !CLASSES.contains(&class) {
        for field in ["beta_start", "beta_end", "beta_schedule"] {
            if config.get(field).is_none() {
                return Err(
                    config.fault(field, format_args!("is absent, and what {class:?} makes of that is not known"))
                );
            }
        }
    }
    schedule(config, solver, class == "LCMScheduler")
}

/// Classes with a solver here.
const CLASSES: [&str; 4] = ["DPMSolverMultistepScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "LCMScheduler"];

/// Reads a `scheduler_config.json`. Left-out settings are diffusers' defaults of that class.
pub fn config(config: &Config) -> Result<SchedulerConfig> {
    let class = config.text("_class_name")?.unwrap_or_default();
    // What the class must be set to, and the value an absent setting has.
    let (solver, settings): (_, Vec<(&str, Value, Value)>) = match class {
        "DPMSolverMultistepScheduler" => {
            let solver = match config.count("solver_order")?.unwrap_or(2) {
                1 => SolverKind::DpmSolver1,
                2 => SolverKind::DpmSolver2M,
                order => return Err(config.fault("solver_order", format_args!("{order} is not supported"))),
            };
            let settings = vec![
                ("algorithm_type", json!("dpmsolver++"), json!("dpmsolver++")),
                ("solver_type", json!("midpoint"), json!("midpoint")),
                ("lower_order_final", json!(true), json!(true)),
                ("euler_at_final", json!(false), json!(false)),
                ("final_sigmas_type", json!("zero"), json!("zero")),
                ("timestep_spacing", json!("linspace"), json!("linspace")),
                ("variance_type", Value::Null, Value::Null),
            ];
            (solver, settings)
        }
        "DDIMScheduler" => {
            let settings = vec![
                ("clip_sample", json!(false), json!(true)),
                ("set_alpha_to_one", json!(true), json!(true)),
                ("steps_offset", json!(0), json!(0)),
                ("timestep_spacing", json!("leading"), json!("leading")),
            ];
            (SolverKind::Ddim, settings)
        }
        "EulerDiscreteScheduler" => {
            let settings = vec![
                ("interpolation_type", json!("linear"), json!("linear")),
                ("timestep_spacing", json!("linspace"), json!("linspace")),
                ("timestep_type", json!("discrete"), json!("discrete")),
                ("final_sigmas_type", json!("zero"), json!("zero")),
                ("sigma_min", Value::Null, Value::Null),
                ("sigma_max", Value::Null, Value::Null),
            ];
            (SolverKind::Euler, settings)
        }
        "LCMScheduler" => {
            let settings = vec![
                ("original_inference_steps", json!(50), json!(50)),
                ("clip_sample", json!(false), json!(false)),
                ("set_alpha_to_one", json!(true), json!(true)),
                ("steps_offset", json!(0), json!(0)),
                ("timestep_spacing", json!("leading"), json!("leading")),
                ("timestep_scaling", json!(10.0), json!(10.0)),
            ];
            (SolverKind::Lcm, settings)
        }
        other => {
            return Err(
                config.fault("_class_name", format_args!("{other:?} is not supported: choose a solver with --solver"))
            );
        }
    };
    for (field, wanted, default) in settings {
        if config.get(field).is_none() && wanted != default {
            return Err(
                config.fault(field, format_args!("is absent, which means {default}: only {wanted} is supported"))
            );
        }
        config.only(field, std::slice::from_ref(&wanted))?;
    }
    for flag in MUST_BE_OFF {
        config.only(flag, &[json!(false)])?;
    }
    schedule(config, solver, solver == SolverKind::Lcm)
}

/// The noise schedule, with the defaults of LCM or those of the others.
fn schedule(config: &Config, solver: SolverKind, lcm: bool) -> Result<SchedulerConfig> {
    config.only("trained_betas", &[])?;
    config.only("rescale_betas_zero_snr", &[json!(false)])?;
    let (start, end, shape) = if lcm { (0.00085, 0.012, "scaled_linear") } else { (1e-4, 0.02, "linear") };
    Ok(SchedulerConfig {
        train_timesteps: config.count("num_train_timesteps")?.unwrap_or(1000),
        beta_start: config.number("beta_start")?.unwrap_or(start),
        beta_end: config.number("beta_end")?.unwrap_or(end),
        beta_schedule: match config.text("beta_schedule")?.unwrap_or(shape) {
            "linear" => BetaSchedule::Linear,
            "scaled_linear" => BetaSchedule::ScaledLinear,
            other => return Err(config.fault("beta_schedule", format_args!("{other:?} is not supported"))),
        },
        prediction: match config.text("prediction_type")?.unwrap_or("epsilon") {
            "epsilon" => Prediction::Epsilon,
            "sample" => Prediction::Sample,
            "v_prediction" => Prediction::VPrediction,
            other => return Err(config.fault("prediction_type", format_args!("{other:?} is not supported"))),
        },
        solver,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<SchedulerConfig> {
        config(&Config::new(json))
    }

    #[test]
    fn every_solver_is_read() {
        let dpm = json!({ "_class_name": "DPMSolverMultistepScheduler" });
        assert_eq!(read(dpm).unwrap(), SchedulerConfig::default());
        let first = read(json!({ "_class_name": "DPMSolverMultistepScheduler", "solver_order": 1 })).unwrap();
        assert_eq!(first.solver, SolverKind::DpmSolver1);
        let ddim = json!({ "_class_name": "DDIMScheduler", "clip_sample": false, "prediction_type": "v_prediction" });
        assert_eq!(read(ddim).unwrap().prediction, Prediction::VPrediction);
        assert_eq!(read(json!({ "_class_name": "EulerDiscreteScheduler" })).unwrap().solver, SolverKind::Euler);
        let lcm = read(json!({ "_class_name": "LCMScheduler", "beta_end": 0.5, "timestep_scaling": 10 })).unwrap();
        assert_eq!((lcm.beta_start, lcm.beta_end, lcm.beta_schedule), (0.00085, 0.5, BetaSchedule::ScaledLinear));
    }

    #[test]
    fn what_would_change_the_picture_is_named() {
        let dpm = |field: &str, value: Value| {
            read(json!({ "_class_name": "DPMSolverMultistepScheduler", field: value })).unwrap_err().to_string()
        };
        assert!(dpm("algorithm_type", json!("sde-dpmsolver++")).contains("algorithm_type \"sde-dpmsolver++\" is not"));
        assert!(dpm("use_karras_sigmas", json!(true)).contains("use_karras_sigmas"));
        assert!(dpm("beta_schedule", json!("squaredcos_cap_v2")).contains("beta_schedule"));
        assert!(dpm("prediction_type", json!("flow_prediction")).contains("prediction_type"));
        assert!(dpm("solver_order", json!(3)).contains("solver_order 3"));
        assert!(dpm("trained_betas", json!([0.1])).contains("trained_betas"));
        assert!(dpm("num_train_timesteps", json!("x")).contains("num_train_timesteps"));
        let class = read(json!({ "_class_name": "PNDMScheduler" })).unwrap_err().to_string();
        assert_eq!(class, "config.json: _class_name \"PNDMScheduler\" is not supported: choose a solver with --solver");
        let ddim = read(json!({ "_class_name": "DDIMScheduler" })).unwrap_err().to_string();
        assert!(ddim.contains("clip_sample is absent, which means true"), "{ddim}");
    }

    #[test]
    fn another_solver_takes_the_schedule_alone() {
        let read = |json: Value, solver| with_solver(&Config::new(json), solver);
        let ddpm = json!({ "_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
            "variance_type": "fixed_small" });
        assert_eq!(
            read(ddpm, SolverKind::Dmd).unwrap(),
            SchedulerConfig { solver: SolverKind::Dmd, ..Default::default() }
        );
        let karras = json!({ "_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true });
        assert_eq!(read(karras, SolverKind::Euler).unwrap().solver, SolverKind::Euler);
        let fault = |json: Value| read(json, SolverKind::Ddim).unwrap_err().to_string();
        assert!(fault(json!({ "_class_name": "FlowMatchEulerDiscreteScheduler" })).contains("has no betas"));
        assert!(fault(json!({ "_class_name": "PNDMScheduler" })).contains("beta_start is absent"));
        assert!(fault(json!({ "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true })).contains("zero_snr"));
    }
}
