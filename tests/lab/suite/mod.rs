//! The tests by subject, and what they stand on. A test takes a host of the lab for itself, bare, and a GitLab double of
//! its own, so that tests neither wait for each other's state nor see it.

mod gitlab;
mod host;
mod inventory;
mod lab;
mod ping;
mod plan;
mod rprov;
mod tls;
mod watch;
mod world;

mod bare_host;
mod canaries;
mod cleaner;
mod config_template;
mod container_fields;
mod container_registry;
mod container_volume;
mod drift;
mod drift_docker;
mod drift_gitlab;
mod drift_host;
mod drift_runner_config;
mod firewall_traffic;
mod fleet;
mod jump;
mod killed;
mod locked;
mod lockout;
mod lost_config;
mod package;
mod private_ca;
mod read_only;
mod real_runner;
mod runner_writes;
mod saved_plan;
mod scopes;
mod secrets;
mod secrets_everywhere;
mod shipped;
mod situations;
mod status;
mod sudo;
mod unread;
mod verdicts;
