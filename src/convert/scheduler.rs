//! The scheduler's configuration: the noise schedule and the solver, and a refusal by name of what would change the picture.

use serde_json::{Value, json};

use super::json::Config;
use crate::bundle::config::{BetaSchedule, Prediction, SchedulerConfig, SolverKind, TimestepSpacing};
use crate::error::Result;

/// Settings that no solver here has.
const MUST_BE_OFF: [&str; 7] = [
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
const CLASSES: [&str; 7] = [
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
    "DDIMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "LCMScheduler",
];

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
                ("variance_type", Value::Null, Value::Null),
            ];
            (solver, settings)
        }
        "DDIMScheduler" => {
            let settings =
                vec![("clip_sample", json!(false), json!(true)), ("set_alpha_to_one", json!(true), json!(true))];
            (SolverKind::Ddim, settings)
        }
        "EulerDiscreteScheduler" => {
            let settings = vec![
                ("interpolation_type", json!("linear"), json!("linear")),
                ("timestep_type", json!("discrete"), json!("discrete")),
                ("final_sigmas_type", json!("zero"), json!("zero")),
                ("sigma_min", Value::Null, Value::Null),
                ("sigma_max", Value::Null, Value::Null),
            ];
            (SolverKind::Euler, settings)
        }
        "EulerAncestralDiscreteScheduler" => (SolverKind::EulerAncestral, vec![]),
        "UniPCMultistepScheduler" => {
            let settings = vec![
                ("solver_order", json!(2), json!(2)),
                ("predict_x0", json!(true), json!(true)),
                ("solver_type", json!("bh2"), json!("bh2")),
                ("lower_order_final", json!(true), json!(true)),
                ("disable_corrector", json!([]), json!([])),
                ("solver_p", Value::Null, Value::Null),
                ("final_sigmas_type", json!("zero"), json!("zero")),
            ];
            (SolverKind::UniPc, settings)
        }
        "SASolverScheduler" => {
            let settings = vec![
                ("predictor_order", json!(2), json!(2)),
                ("corrector_order", json!(2), json!(2)),
                ("algorithm_type", json!("data_prediction"), json!("data_prediction")),
                ("lower_order_final", json!(true), json!(true)),
                ("tau_func", Value::Null, Value::Null),
                ("variance_type", Value::Null, Value::Null),
            ];
            (SolverKind::SaSolver, settings)
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
        // What training leaves; it samples in as many steps as there are timesteps, which nobody wants.
        "DDPMScheduler" => return with_solver(config, SolverKind::DpmSolver2M),
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
    let mut found = schedule(config, solver, solver == SolverKind::Lcm)?;
    if solver != SolverKind::Lcm {
        spacing(config, &mut found)?;
    }
    Ok(found)
}

/// How timesteps are chosen, where that is not the solver's own way.
fn spacing(config: &Config, found: &mut SchedulerConfig) -> Result<()> {
    let usual = if found.solver == SolverKind::Ddim { TimestepSpacing::Leading } else { TimestepSpacing::Linspace };
    let spacing = match config.text("timestep_spacing")? {
        None => usual,
        Some("linspace") => TimestepSpacing::Linspace,
        Some("leading") => TimestepSpacing::Leading,
        Some("trailing") => TimestepSpacing::Trailing,
        Some(other) => return Err(config.fault("timestep_spacing", format_args!("{other:?} is not supported"))),
    };
    found.timestep_spacing = (spacing != usual).then_some(spacing);
    if spacing == TimestepSpacing::Leading {
        found.steps_offset = config.count("steps_offset")?.unwrap_or(0);
    }
    Ok(())
}

/// The noise schedule, with the defaults of LCM or those of the others.
fn schedule(config: &Config, solver: SolverKind, lcm: bool) -> Result<SchedulerConfig> {
    config.only("trained_betas", &[])?;
    if lcm {
        config.only("rescale_betas_zero_snr", &[json!(false)])?;
    }
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
        timestep_spacing: None,
        steps_offset: 0,
        zero_terminal_snr: config.flag("rescale_betas_zero_snr")?.unwrap_or(false),
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
    fn timesteps_are_spaced_as_the_file_says() {
        let spaced = |class: &str, spacing: &str| {
            let json =
                json!({ "_class_name": class, "clip_sample": false, "timestep_spacing": spacing, "steps_offset": 1 });
            let found = read(json).unwrap();
            (found.timestep_spacing, found.steps_offset)
        };
        let (dpm, ddim) = ("DPMSolverMultistepScheduler", "DDIMScheduler");
        assert_eq!(spaced(dpm, "linspace"), (None, 0), "the solver's own way, which no older engine need know of");
        assert_eq!(spaced(dpm, "leading"), (Some(TimestepSpacing::Leading), 1));
        assert_eq!(spaced(ddim, "leading"), (None, 1));
        assert_eq!(spaced("UniPCMultistepScheduler", "trailing"), (Some(TimestepSpacing::Trailing), 0));
        assert_eq!(spaced("EulerAncestralDiscreteScheduler", "trailing"), (Some(TimestepSpacing::Trailing), 0));
        let zero = json!({ "_class_name": dpm, "rescale_betas_zero_snr": true, "prediction_type": "v_prediction" });
        assert!(read(zero).unwrap().zero_terminal_snr);
        let error = read(json!({ "_class_name": dpm, "timestep_spacing": "log" })).unwrap_err().to_string();
        assert!(error.contains("timestep_spacing \"log\""), "{error}");
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
        let ddpm = json!({ "_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear" });
        assert_eq!(read(ddpm).unwrap(), SchedulerConfig::default());
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
        let zero = json!({ "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true });
        assert!(read(zero, SolverKind::Euler).unwrap().zero_terminal_snr);
    }
}
