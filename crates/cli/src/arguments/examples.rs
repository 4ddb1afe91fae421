//! The examples in the help of the commands.

pub(super) const EXEC_EXAMPLES: &str = "\
Examples:
  valetkey exec -- aws sts get-caller-identity
  valetkey exec --account prod --duration 1h -- terraform plan
  valetkey exec --account dev
  valetkey exec --delivery env --env LOG_LEVEL -- ./program";

pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  valetkey serve --mcp-config servers.json --config valetkey.toml
  valetkey serve --http 127.0.0.1:7070 --mcp-config servers.json --config valetkey.toml";

pub(super) const ACCESS_EXAMPLES: &str = "\
Examples:
  valetkey access list
  valetkey access approve 4b1f0c9d2e7a
  valetkey access page";

pub(super) const ADOPT_EXAMPLES: &str = "\
Examples:
  valetkey adopt .mcp.json --dry-run
  valetkey adopt .vscode/mcp.json
  valetkey adopt ~/.cursor/mcp.json --revert";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  valetkey check --mcp-config servers.json
  valetkey check --live --json";

pub(super) const PRESIGN_EXAMPLES: &str = "\
Examples:
  valetkey presign s3://reports/november.pdf
  valetkey presign s3://reports/november.pdf --expires 1h --account prod
  curl -T november.pdf \"$(valetkey presign s3://reports/november.pdf --method put)\"";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  valetkey report audit.jsonl
  valetkey report --session 7f0c2d1e --markdown
  zcat audit.jsonl.1.gz | valetkey report --json -";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  valetkey completions bash > ~/.local/share/bash-completion/completions/valetkey
  valetkey completions zsh > ~/.zfunc/_valetkey";
