//! Resolves the paths in a settings file: relative to the file's folder, with `~` and `${NAME}` expanded.

use std::path::{Path, PathBuf};

use super::{Diagnostic, ProviderSettings, Settings};

/// Returns the value of an environment variable.
type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Makes every path of the file absolute. A path that cannot be resolved is an error.
    pub(super) fn resolve_paths(&mut self, folder: &Path, diagnostics: &mut Vec<Diagnostic>) {
        let lookup = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // The working directory of this process does not change, but that of its children differs.
        let folder = std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned());
        let mut invalid_paths = Vec::new();
        for (key, path) in self.paths() {
            match resolve_path(path, &folder, &lookup) {
                Ok(resolved) => *path = resolved,
                Err(what) => invalid_paths.push((key, what)),
            }
        }
        for (key, what) in invalid_paths {
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            diagnostics.push(self.diagnostic(&key, what));
        }
        self.folder = folder;
    }

    /// Returns every path of the file, with its key.
    fn paths(&mut self) -> Vec<(Vec<String>, &mut PathBuf)> {
        let key = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let tokens = self.accounts.iter_mut().filter_map(|(name, account)| match &mut account.provider {
            ProviderSettings::WebIdentity(identity) => {
                Some((key(&["accounts", name, "token_file"]), identity.token_file.as_mut()?))
            }
            _ => None,
        });
        let policies = self
            .policies
            .iter_mut()
            .filter_map(|(name, policy)| Some((key(&["policies", name, "file"]), policy.file.as_mut()?)));
        let audit = self.audit.iter_mut().map(|audit| (key(&["audit", "file"]), &mut audit.file));
        let http = self.http.iter_mut().flat_map(|http| {
            let files = [("certificate", &mut http.certificate), ("private_key", &mut http.private_key)];
            let own =
                files.into_iter().filter_map(|(name, file)| Some((key(&["http", name]), file.as_mut()?)));
            let keys = http.issuers.iter_mut().filter_map(|(name, issuer)| {
                Some((key(&["http", "issuers", name, "jwks_file"]), issuer.jwks_file.as_mut()?))
            });
            own.chain(keys).collect::<Vec<_>>()
        });
        let store = self.store.iter_mut().flat_map(|store| {
            let files = [
                ("password_file", &mut store.password_file),
                ("key_ring_file", &mut store.key_ring_file),
                ("root_certificates", &mut store.root_certificates),
            ];
            files.into_iter().filter_map(|(name, file)| Some((key(&["store", name]), file.as_mut()?)))
        });
        tokens.chain(policies).chain(audit).chain(http).chain(store).collect()
    }
}

/// Makes a path absolute. An empty path stays empty, and its reader rejects it.
fn resolve_path(path: &Path, folder: &Path, lookup: EnvLookup<'_>) -> Result<PathBuf, String> {
    if path.as_os_str().is_empty() {
        return Ok(path.to_owned());
    }
    let filled = match path.to_str() {
        Some(text) => expand_variables(text, lookup)?,
        None => return Err("must be valid UTF-8".to_owned()),
    };
    let Some(rest) = filled.strip_prefix('~') else { return Ok(folder.join(filled)) };
    let home = lookup("HOME").ok_or("begins with `~`, and HOME is not set; write the whole path")?;
    match rest.strip_prefix('/') {
        Some(rest) => Ok(Path::new(&home).join(rest)),
        None if rest.is_empty() => Ok(home.into()),
        None => Err("names the home of another user by `~`; write the whole path".to_owned()),
    }
}

/// Replaces each `${NAME}`. The values are not scanned again.
fn expand_variables(text: &str, lookup: EnvLookup<'_>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("holds `${` without `}`; write `${NAME}`")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("holds `${` without the name of a variable; write `${NAME}`".to_owned());
        }
        let value = lookup(name).ok_or_else(|| {
            format!("needs the environment variable `{name}`, which is not set; set it or write the path")
        })?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(path: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "HOME" => Some("/srv/home".to_owned()),
            "DIR" => Some("/run/${HOME}".to_owned()),
            _ => None,
        };
        resolve_path(Path::new(path), Path::new("/etc/x"), &lookup)
            .map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn resolve_path_expands_folder_home_and_variables() {
        for (path, expected) in [
            ("look.json", "/etc/x/look.json"),
            ("/a/b", "/a/b"),
            ("~/token", "/srv/home/token"),
            ("~", "/srv/home"),
            ("a~b", "/etc/x/a~b"),
            ("${DIR}/token", "/run/${HOME}/token"),
            ("sub/${HOME}", "/etc/x/sub//srv/home"),
            ("", ""),
        ] {
            assert_eq!(resolved(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn resolve_path_unresolvable_fails() {
        for (path, words) in [
            ("~other/x", "the home of another user"),
            ("${NONE}/x", "needs the environment variable `NONE`"),
            ("${", "without `}`"),
            ("${}", "without the name"),
            ("${A:-b}", "without the name"),
        ] {
            assert!(resolved(path).unwrap_err().contains(words), "{path}");
        }
    }
}
