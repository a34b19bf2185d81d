//! Names that say that their value is a secret. Pure.

/// What the last word of a name says.
const LAST: [&str; 32] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "apikey",
    "psk",
    "accesskey",
    "secretkey",
    "privatekey",
    "authtoken",
    "requirepass",
    "pw",
    "bindpw",
    "rootpw",
    "authtok",
    "dbpass",
    "kennwort",
    "passe",
    "authkey",
    "storepass",
    "keypass",
    "userpass",
    "rootpass",
    "adminpass",
    "authpass",
    "sshpass",
    "dbpw",
];

/// What a word before `key` makes of it.
const KEYS: [&str; 18] = [
    "private",
    "secret",
    "access",
    "api",
    "auth",
    "signing",
    "encryption",
    "account",
    "shared",
    "preshared",
    "master",
    "deploy",
    "client",
    "app",
    "unlock",
    "setup",
    "hmac",
    "license",
];

/// Words that make a name one of a secret wherever they stand, unless what follows says that it is about the secret.
pub(super) const STRONG: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "credentials", "pwd", "passwort"];

/// What makes a name one of something about a secret: where it is, how long, how old.
const ABOUT: [&str; 66] = [
    "file",
    "files",
    "path",
    "dir",
    "directory",
    "name",
    "names",
    "ref",
    "refs",
    "from",
    "source",
    "store",
    "manager",
    "mount",
    "length",
    "len",
    "size",
    "min",
    "max",
    "count",
    "limit",
    "limits",
    "per",
    "rate",
    "bytes",
    "bits",
    "type",
    "kind",
    "format",
    "prefix",
    "suffix",
    "header",
    "field",
    "url",
    "uri",
    "endpoint",
    "host",
    "server",
    "ttl",
    "age",
    "lifetime",
    "expiry",
    "expires",
    "expiration",
    "expired",
    "duration",
    "timeout",
    "at",
    "obtained",
    "id",
    "ids",
    "policy",
    "prompt",
    "stdin",
    "enabled",
    "required",
    "authentication",
    "auth",
    "command",
    "cmd",
    "helper",
    "review",
    "request",
    "reset",
    "rotation",
    "check",
];

/// Words at the end of a name that say which secret it is, not what.
const WHICH: [&str; 26] = [
    "data",
    "base64",
    "b64",
    "value",
    "base",
    "prod",
    "production",
    "staging",
    "stage",
    "dev",
    "development",
    "test",
    "live",
    "ci",
    "old",
    "new",
    "current",
    "previous",
    "backup",
    "primary",
    "secondary",
    "main",
    "default",
    "plain",
    "raw",
    "rw",
];

/// Whether a name is that of a secret: `DB_PASSWORD`, `clientSecret`, `client-key-data`, `_authToken`, `SECRET_KEY_BASE`,
/// `TOKEN_PROD`, `basicauth.users`.
#[must_use]
pub fn speaks(name: &str) -> bool {
    let all = words(name);
    let mut words: Vec<&str> = all.iter().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    while words.last().is_some_and(|last| last.is_empty() || WHICH.contains(last)) {
        words.pop();
    }
    words.retain(|word| !matches!(*word, "" | "data" | "base" | "value"));
    let says = match words.as_slice() {
        ["auth"] => true,
        [.., "basicauth" | "digestauth", "users"] => true,
        [.., one, "key" | "keys"] => KEYS.contains(one),
        [.., last] => {
            LAST.contains(last) || ["password", "passwd", "secret", "token"].iter().any(|word| last.ends_with(word))
        }
        [] => false,
    };
    let strong = || words.iter().position(|word| STRONG.contains(word));
    says || strong().is_some_and(|at| !words.iter().any(|word| ABOUT.contains(word)) && at + 3 >= words.len())
}

/// The words of a name, whichever way they are joined.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(String::new());
        }
        if let Some(last) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            last.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::looks::is_secret_name;

    #[test]
    fn which_names_speak() {
        for name in [
            "DB_PASSWORD",
            "clientSecret",
            "client-key-data",
            "_authToken",
            "SECRET_KEY_BASE",
            "TOKEN_PROD",
            "DB_PASSWORD_1",
            "DB_PW",
            "APP_KEY",
            "labels.api_key",
            "traefik.http.middlewares.a.basicauth.users",
            "API_TOKEN_EU_WEST",
            "PASSWORD2",
            "rails_secret_key_base",
            "bindpw",
            "SECRET_TOKEN_OLD",
        ] {
            assert!(speaks(name), "{name}");
            assert!(is_secret_name(name), "{name}: what is shown in one place is shown in all");
        }
        for name in [
            "password_file",
            "tokens_per_second",
            "max_token_length",
            "secretName",
            "secretKeyRef",
            "token_expires_at",
            "public_key",
            "keyboard",
            "key",
            "PASSWORD_MIN_LENGTH",
            "token_endpoint",
            "passwordAuthentication",
            "users",
            "secrets_dir",
            "database",
        ] {
            assert!(!speaks(name), "{name}");
        }
    }
}
