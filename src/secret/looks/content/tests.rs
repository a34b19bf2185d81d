//! What is found in files, and what is not.

use super::*;

/// The text with what was found hidden.
fn hidden(text: &str) -> String {
    let ranges: Vec<_> = find(text).into_iter().map(|one| one.range).collect();
    crate::secret::looks::hide(text, &ranges)
}

#[test]
fn secrets_of_many_programs() {
    let canary = "Zq4Vw7Xk2Bn8Mc5Rt1YpLs9D";
    for line in [
        "password=CANARY",
        "DB_PASSWORD: CANARY",
        "export PGPASSWORD='CANARY'",
        "Environment=\"API_TOKEN=CANARY\"",
        "requirepass CANARY",
        "auth_pass CANARY",
        "api-key CANARY",
        "ldap_default_authtok = CANARY",
        "unlock-key: CANARY",
        "Environment=DBPASS=CANARY",
        "mot_de_passe=CANARY",
        "password = \"CANARY\"",
        "\"clientSecret\": \"CANARY\",",
        "<password>CANARY</password>",
        "aws_secret_access_key = CANARY",
        "Authorization: Bearer CANARY",
        "authorization: CANARY",
        "proxy_set_header Authorization \"Basic CANARY\";",
        "-H 'PRIVATE-TOKEN: CANARY'",
        "curl --header \"Job-Token: CANARY\" https://x",
        "machine gitlab.example.com login ci password CANARY",
        "//registry.npmjs.org/:_authToken=CANARY",
        "db.example.com:5432:app:app:CANARY",
        "https://user:CANARY@registry.example.com/",
        "https://CANARY@gitlab.example.com/a.git",
        "postgres://app:CANARY@db/app?sslmode=require",
        "GET /?private_token=CANARY&x=1",
        "{ \"auths\": { \"r\": { \"auth\": \"CANARY\" } } }",
        "    client-key-data: CANARY",
        "    token: CANARY",
        "vault login --token CANARY",
        "mysql --password CANARY",
        "password: !!str CANARY",
        "Set-Cookie: _gitlab_session=CANARY",
        "glrtr-CANARY",
        "glwt-CANARY",
        "glagent-CANARY.01.1a2b3c4d5",
        "single-glpat-CANARY",
        "gldt-CANARY",
        "gloas-CANARY",
        "glcbt-64_CANARY",
        "GR1348941CANARY",
        "ghp_CANARYCANARY",
        "\"identitytoken\": \"CANARY\"",
        "password:\n  CANARY",
        "- db:\n    - password: |\n        CANARY\n        CANARY",
        "  token: >-   # new\n\n    CANARY",
        "credentials:\n- CANARY\n- \"CANARY\"",
        "\"api_token\":\n  \"CANARY\"",
        "- name: DB_PASSWORD\n  value: CANARY",
        "- name: DB_PASSWORD\n  # of the database\n  value: \"CANARY\"",
        "- name: TLS_SECRET\n  value: |\n    CANARY",
        "{\n  \"name\": \"API_TOKEN\",\n  \"value\": \"CANARY\"\n}",
        "[{\"name\":\"API_TOKEN\",\"value\":\"CANARY\"}]",
        "[{\\\"name\\\":\\\"API_TOKEN\\\",\\\"value\\\":\\\"CANARY\\\"}]",
        "{ name: API_TOKEN, value: CANARY }",
        "<add key=\"Password\" value=\"CANARY\"/>",
        "<property name='db.password' value='CANARY'/>",
        "password: !CANARY",
        "password=@CANARY",
        "password=(CANARY",
        "password=\"<CANARY\"",
        "password: ./CANARY",
        "curl -fsSu ci:CANARY https://x",
        "curl --user ci:CANARY https://x",
        "curl -u 'ci:CANARY' https://x",
        "mysql -u root -pCANARY app",
        "mysqldump -pCANARY app",
        "sshpass -p CANARY ssh x",
        "sshpass -p'CANARY' ssh x",
        "docker login -u ci -p CANARY registry.example.com",
        "command: [\"x\", \"--password\",\"CANARY\"]",
        "['--api-token', 'CANARY']",
        "CREATE USER app WITH PASSWORD 'CANARY';",
        "CREATE USER 'a'@'%' IDENTIFIED BY 'CANARY';",
        "define('DB_PASSWORD','CANARY');",
        "define( \"AUTH_KEY\", \"CANARY\" );",
        "ENV SECRET CANARY",
        "SetEnv DB_PASS CANARY",
        "fastcgi_param DB_PASSWORD CANARY;",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUCANARY",
        "    b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQy\n    NTUxOQAACANARY",
        "https://discord.com/api/webhooks/123456/CANARY",
        "https://hooks.slack.com/services/T000/B000/CANARY",
        "https://hc-ping.com/CANARY",
        "https://api.telegram.org/bot123:CANARY/sendMessage",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.CANARY",
        "root:$6$saltsalt$CANARY:19000:0:99999:7:::",
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQCANARY",
        "SECRET_KEY_BASE=CANARY",
        "TOKEN_PROD=CANARY",
        "export API_SECRET_EU_WEST=CANARY",
        "DB_PASSWORD_1=CANARY",
        "DB_PASSWORD2: CANARY",
        "DB_PW=CANARY",
        "APP_KEY=base64:CANARY",
        "bindpw CANARY",
        "rootpw CANARY",
        "nslcd_password CANARY",
        "key rndc { algorithm hmac-sha256; secret \"CANARY\"; };",
        "  secret 'CANARY'",
        "[client.admin]\n    key = AQCANARYCANARY==",
        "bot_token 123456789:AACANARY",
        "bot_token CANARY",
        "send 123456789:AACANARY",
        "GOCSPX-CANARY",
        "glsa_CANARY_1a2b3c4d",
        "shpat_CANARY",
        "hf_CANARY",
        "root:CANARY",
        "deploy:CANARY",
        "[smtp.example.com]:587 mailer:CANARY",
        "smtp.example.com:587 mailer@example.com:CANARY",
        "[smtp.example.com]:submission mailer@example.com:CANARY",
        "alice * CANARY *",
        "\"alice\" \"*\" \"CANARY\" 10.0.0.7",
        "alice pptpd CANARY *",
        "rocommunity CANARY 10.0.0.0/8",
        "rwcommunity6 CANARY",
        "com2sec readonly default CANARY",
        "user:{SHA}CANARY=",
        "userPassword: {SSHA}CANARY",
        "https://x.blob.core.windows.net/a?sv=2020&sig=CANARY%3D",
        "https://s3.example.com/a?X-Amz-Signature=CANARY&x=1",
    ] {
        let text = format!("# a line\n{}\nanother = 1\n", line.replace("CANARY", canary));
        assert!(!hidden(&text).contains(canary), "{line}: {}", hidden(&text));
        assert!(hidden(&text).contains("another = 1"), "{line}: {}", hidden(&text));
    }
    let key = "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n";
    assert_eq!(hidden(key), "[Interface]\nPrivateKey = (hidden)\n");
    assert_eq!(hidden("k AKIAIOSFODNN7EXAMPLE"), "k (hidden)");
}

#[test]
fn private_keys_of_all_kinds() {
    for label in
        ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]
    {
        let key = format!("-----BEGIN {label}-----\nAAAA\nBBBB\n-----END {label}-----");
        assert_eq!(hidden(&format!("a\n{key}\nb\n")), "a\n(hidden)\nb\n");
        // Cut off.
        assert_eq!(hidden(&format!("a\n-----BEGIN {label}-----\nAAAA\n")), "a\n(hidden)");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&key);
        assert_eq!(hidden(&format!("client: {encoded}\n")), "client: (hidden)\n");
    }
    assert_eq!(hidden("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA\n"), "(hidden)");
    let public = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(hidden(public), public);
    let encoded = base64::engine::general_purpose::STANDARD.encode(public);
    assert_eq!(hidden(&encoded), encoded);
}

#[test]
fn what_only_says_where_a_secret_is() {
    for text in [
        "password=$DB_PASSWORD",
        "password: \"${DB_PASSWORD}\"",
        "password: {{ vault.password }}",
        "token: /run/secrets/token",
        "password_file: /etc/x/password",
        "PasswordAuthentication no",
        "password_authentication = no",
        "password [success=1 default=ignore] pam_unix.so obscure",
        "proxy_set_header Authorization $http_authorization;",
        "secretName: registry",
        "token=$(cat /run/token)",
        "api_key = ",
        "tokens_per_second: 100",
        "max_token_length=4096",
        "public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
        "key: value",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbcdefghijklmnopqrstuvwxyz me@host",
        "HostKey /etc/ssh/ssh_host_ed25519_key",
        "ssh://git@gitlab.example.com/a.git",
        "http://[2001:db8::1]:8080/",
        "*/5 * * * * root /usr/bin/true",
        "10:00:00:00:01",
        "keyboard = us",
        "password:\n  type: string\n  minLength: 12",
        "secret:\n  secretName: registry-login",
        "secrets:\n  - db_password",
        "token:\nname: something",
        "- name: HOME\n  value: /srv/somewhere",
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: { name: database }",
        "- name: DB_PASSWORD\n  value: $DB_PASSWORD",
        "- name: keyboard\n  value: german-layout",
        "docker run -u 1000:1000 -p 8080:8080 image",
        "curl -fsSL https://example.com/ -o /tmp/x",
        "mysql -u root -p app",
        "mysqld --port=3306",
        "docker login --password-stdin registry.example.com",
        "password: <password>",
        "password=@password@",
        "password: !vault",
        "password: (none)",
        "token: ./secrets/token",
        "token=@/run/token",
        "foo('password', $value)",
        "[\"password\", \"username\"]",
        "ENV PATH /usr/local/bin",
        "https://healthchecks.io/docs/",
        "net.ipv4.tcp_keepalive_time = 600",
        "glue-code-for-all-the-things",
        "passwords_min_length=12",
        "password_min_length: 12345",
        "token_endpoint=https://example.com/token",
        "TOKEN_EXPIRES_AT=2026-01-01T00:00:00Z",
        "secretName: registry-login",
        "password_policy = strict",
        "gitlab-runner:v17.9.0",
        "localhost:30000",
        "nobody:nogroup",
        "root:staff-of-the-house",
        "root:x:0:0:root:/root:/bin/bash",
        "*/15 * * * * root /usr/bin/true",
        "17 * 1234 * root",
        "server:  backend1",
        "the word \"secret\" is in it",
        "key = AQ",
        "significant=1",
        "com.docker.network.bridge.name:docker0",
        "docker run -v data:/srv image",
        "/mnt/gluster-volume-of-the-builds",
    ] {
        assert_eq!(hidden(text), text);
    }
}

#[test]
fn much_text_is_read_once() {
    let text = "server { listen 80; } # nothing here\n".repeat(20_000);
    assert_eq!(find(&text), []);
}

#[test]
fn a_dollar_alone_makes_no_variable() {
    for value in
        ["$tr0ng!", "$tr0ng!Pass", "$ecret!", "$P@ssw0rd", "$1mple-pass", "pa$$word!", "$Pa55word", "$$$money$$$1"]
    {
        for line in [format!("DB_PASSWORD={value}"), format!("password: '{value}'"), format!("\"token\": \"{value}\"")]
        {
            let found = find(&line);
            assert!(found.iter().any(|one| line[one.range.clone()].contains(&value[1..])), "{line}: {found:?}");
        }
    }
    for value in [
        "$DB_PASSWORD",
        "${DB_PASSWORD}",
        "${DB_PASSWORD:-}",
        "$(cat /run/x)",
        "$token",
        "$1",
        "$USER:$PASS",
        "${A}-${B}",
        "$HOME/.token",
        "$CI_JOB_TOKEN",
        "$env:TOKEN",
        "$dbPassword",
        "$$TOKEN",
        "$(TOKEN)",
        "$TOKEN2",
    ] {
        let line = format!("DB_PASSWORD={value}");
        assert_eq!(find(&line), [], "{line}");
    }
}

#[test]
fn a_value_before_its_name() {
    for text in [
        "variables:\n  - value: hunter2-hunter2\n    name: DB_PASSWORD\n",
        "variables:\n  - value: hunter2-hunter2\n    protected: true\n    name: DB_PASSWORD\n",
        "env:\n- value: \"hunter2-hunter2\"\n  name: API_TOKEN\n",
        "{\n  \"value\": \"hunter2-hunter2\",\n  \"key\": \"DB_PASSWORD\"\n}\n",
        "variables: [{ value: hunter2-hunter2, name: DB_PASSWORD }]",
        "[{\"value\":\"hunter2-hunter2\",\"key\":\"DB_PASSWORD\"}]",
        "<add value=\"hunter2-hunter2\" key=\"DB_PASSWORD\"/>",
        "variables:\n  - value: |\n      hunter2-hunter2\n    name: DB_PASSWORD\n",
        "variables: [{ value: hunter2-hunter2, masked: true, name: DB_PASSWORD }]",
    ] {
        let found = find(text);
        assert!(found.iter().any(|one| text[one.range.clone()].contains("hunter2-hunter2")), "{text}: {found:?}");
    }
    for text in [
        "- value: hunter2-hunter2\n  name: REGION\n",
        "- value: eu-west-1\n  name: A\n- value: eu-west-2\n  name: B\n",
        "- value: $TOKEN\n  name: DB_PASSWORD\n",
        "- value: eu-west-1\n  name: REGION\n- name: DB_PASSWORD\n  value: { env: X }\n",
    ] {
        let found = find(text);
        assert!(
            !found
                .iter()
                .any(|one| text[one.range.clone()].contains("eu-west") || text[one.range.clone()].contains("hunter2")),
            "{text}: {found:?}"
        );
    }
}
