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

#[test]
fn passwords_of_programs() {
    let canary = "Zq4Vw7Xk2Bn8Mc5Rt1YpLs9D";
    let mut missed = Vec::new();
    for line in [
        "redis-cli -a CANARY ping",
        "/usr/bin/redis-cli -h db --pass CANARY info",
        "redis-cli CONFIG SET requirepass CANARY",
        "redis-cli -h db AUTH CANARY",
        "htpasswd -b /etc/nginx/users app CANARY",
        "htpasswd -nbB app CANARY",
        "htpasswd -cb users app 'CANARY' > /dev/null",
        "mosquitto_passwd -b /etc/mosquitto/pw app CANARY",
        "mysql -pCANARY app",
        "mysql -p'CANARY' app",
        "mysql -u root -p\"CANARY\" app < dump.sql",
        "mysqldump --password CANARY app",
        "mysqldump --password=CANARY app",
        "mysqladmin -u root password CANARY",
        "mydumper -p CANARY",
        "curl -u user:CANARY https://h/",
        "curl -sSuuser:CANARY https://h/",
        "curl --proxy-user user:CANARY https://h/",
        "curl -fsSL --user=user:CANARY https://h/",
        "curl --oauth2-bearer CANARY https://h/",
        "curl -H 'PRIVATE-TOKEN: CANARY' https://h/",
        "curl -H \"Authorization: Basic CANARY\" https://h/",
        "http -a user:CANARY https://h/",
        "sshpass -p CANARY ssh h",
        "sshpass -v -pCANARY ssh h",
        "psql postgresql://u:CANARY@h/app",
        "psql 'host=h user=u password=CANARY'",
        "PGPASSWORD=CANARY psql -h h",
        "openssl rsa -in k -passin pass:CANARY",
        "openssl enc -aes-256-cbc -k CANARY -in a",
        "openssl passwd -6 CANARY",
        "openssl dgst -sha256 -hmac CANARY a",
        "docker login -u u -p CANARY h",
        "podman login -u u -pCANARY h",
        "docker login --username u --password CANARY h",
        "echo CANARY | docker login -u u --password-stdin h",
        "echo 'u:CANARY' | chpasswd",
        "printf '%s' CANARY | sudo -S true",
        "echo \"CANARY\" | docker secret create db -",
        "sudo -S true <<< CANARY",
        "smbclient //h/share -U user%CANARY",
        "smbclient //h/share CANARY -U user",
        "mount.cifs //h/share /mnt -o username=u,password=CANARY",
        "rpcclient --user='D\\user%CANARY' h",
        "wget --http-password CANARY https://h/",
        "wget --user=u --password=CANARY https://h/",
        "aria2c --http-passwd=CANARY https://h/",
        "ldapsearch -x -D cn=admin -w CANARY -b dc=x",
        "ldappasswd -D cn=admin -s CANARY uid=u",
        "mosquitto_pub -h h -u u -P CANARY -t t -m m",
        "gpg --batch --passphrase CANARY -c f",
        "net use Z: \\\\h\\share CANARY /user:u",
        "mongosh -u root -p CANARY --host h",
        "sqlcmd -S h -U sa -P CANARY",
        "sqlplus -s app/CANARY@db",
        "rabbitmqctl add_user app CANARY",
        "ipmitool -I lanplus -H h -U u -P CANARY power status",
        "ipmitool user set password 2 CANARY",
        "plink -pw CANARY u@h",
        "lftp -u user,CANARY sftp://h",
        "snmpwalk -v2c -c CANARY h",
        "zip -P CANARY a.zip f",
        "7z a -pCANARY a.7z f",
        "keytool -list -storepass CANARY",
        "kubectl create secret generic a --from-literal=key=CANARY",
        "kubectl create secret generic a --from-literal other=CANARY",
        "vault kv put secret/app key=CANARY",
        "vault login CANARY",
        "mc alias set s3 https://h access CANARY",
        "twine upload -u u -p CANARY dist/x",
        "gitlab-runner register -n -r CANARY -u https://h",
        "wpa_passphrase home CANARY",
        "nmcli dev wifi connect home password CANARY",
        "git config --global credential.token CANARY",
        "npm config set //h/:_authToken CANARY",
        "aws configure set aws_secret_access_key CANARY",
        "sudo docker exec db sh -c \"mysqldump -pCANARY app\"",
        "0 3 * * * root mysqldump -pCANARY app | gzip > /srv/a.gz",
        "ExecStart=/usr/bin/redis-cli -a CANARY ping",
        "CMD [\"redis-cli\", \"-a\", \"CANARY\"]",
        "command: [redis-cli, -a, CANARY, ping]",
        "command: [sshpass, -p, CANARY]",
        "command: \"redis-cli -a CANARY ping\"",
        "command:\n  - mysqladmin\n  - -uroot\n  - -pCANARY\n",
        "command:\n  - redis-cli\n  - -a\n  - \"CANARY\"\n",
        "[\n  \"sshpass\",\n  \"-p\",\n  \"CANARY\"\n]",
        "mysql -u root \\\n    -h db \\\n    -pCANARY",
        "true && mysql -pCANARY; false",
        "x=$(redis-cli -a CANARY get x)",
        "machine h login u password CANARY",
        "machine h password CANARY login u",
        "default login u password CANARY",
        "machine h\nlogin u\npassword CANARY",
        "h:5432:app:u:CANARY",
        "*:*:*:u:a:CANARY",
        "\\:\\:1:5432:app:u:CANARY",
        "//registry.npmjs.org/:_authToken=CANARY",
        "_auth=CANARY",
        "//h/:_password=CANARY",
        "\"auth\": \"CANARY\"",
        "u:$6$rounds=5000$saltsalt$CANARY",
        "u:$2y$10$CANARYCANARY",
        "users: [\"u:$$apr1$$salt$$CANARY\"]",
        "eyJhbGciOiJkaXIifQ.eyJzdWIiOiIxIn0.CANARY",
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..CANARY.CANARY.CANARY",
    ] {
        let text = format!("# a line\n{}\nanother = 1\n", line.replace("CANARY", canary));
        // The value, and not all that stands around it.
        let first = line.split([' ', '\n', '"', ':', '=']).find(|word| word.len() > 2);
        let is_word = |first: &&str| first.starts_with(|c: char| c.is_ascii_lowercase()) && !first.contains("CANARY");
        let stays = first.filter(is_word).is_none_or(|first| hidden(&text).contains(first))
            && hidden(&text).contains("another = 1");
        if hidden(&text).contains(canary) || !stays {
            missed.push(hidden(&text));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    assert_eq!(hidden("a AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY b"), "a (hidden) b");
    // Weak ones, too: what counts is where they stand.
    assert_eq!(hidden("mysql -phunter2 app"), "mysql -p(hidden) app");
    assert_eq!(hidden("redis-cli -a 1234 ping"), "redis-cli -a (hidden) ping");
    assert_eq!(hidden("curl -u 'ci:hunter2' https://h/"), "curl -u 'ci:(hidden)' https://h/");
}

/// Options and words that look alike.
#[test]
fn what_programs_take_that_is_no_password() {
    let mut wrong = Vec::new();
    for text in [
        "ssh -p 2222 -a user@host",
        "cp -pr /srv/builds /srv/copy",
        "mkdir -p builds/caches",
        "docker run -p 8080:8080 -u 1000:1000 -a stdout image",
        "docker login --password-stdin registry.example.com",
        "docker login -u ci registry.example.com",
        "docker compose -p project up -d",
        "docker run -d --name gitlab-runner -t gitlab/gitlab-runner:latest",
        "mysql -u root -p app",
        "mysql --port=3306 --protocol=tcp",
        "mysqldump -u root -p$MYSQL_PASSWORD app",
        "mysqldump -u root -p\"$(cat /run/secrets/db)\" app",
        "gcc -o x x.c $(mysql_config --cflags) -pthread",
        "apt-get install -y mysql-client curl redis-tools apache2-utils",
        "packages:\n  - mysql-client\n  - curl\n  - redis-tools\n",
        "redis-cli -h cache -p 6379 ping",
        "redis-cli -a \"$REDIS_PASSWORD\" ping",
        "curl -u ci https://example.com/",
        "curl -fsSLo file https://example.com/",
        "curl -A Mozilla/5.0 --user-agent agent:name https://example.com/",
        "curl -u ci:$TOKEN https://example.com/",
        "curl -U ${PROXY_USER}:${PROXY_PASSWORD} https://example.com/",
        "wget -P /tmp/downloads https://example.com/",
        "wget -P downloads https://example.com/",
        "unzip -p archive.zip member",
        "ldapsearch -x -W -D cn=admin -s base -b dc=example",
        "htpasswd -c /etc/nginx/users app",
        "htpasswd /etc/nginx/users admin-of-it",
        "openssl rsa -in key.pem -passin file:/run/pw -out key2.pem",
        "openssl rsa -in key.pem -passin env:KEYPASSWORD",
        "openssl req -new -key server.key -out server.csr",
        "openssl x509 -CAkey authority.key -in server.csr",
        "smbclient //server/share -U user -c ls",
        "smbclient //server/share -N",
        "gpg --batch --passphrase-file /run/pw -c file",
        "gpg -P something",
        "psql -h db -p 5432 -U app",
        "psql postgresql://app@db/app",
        "mongosh --port 27017 -p",
        "mosquitto_sub -h host -p 1883 -t topic",
        "tar -cpf - files | gzip",
        "useradd -m -s /bin/bash ci-user",
        "usermod -aG docker gitlab-runner",
        "echo something | docker exec -i db cat",
        "echo something-else | tee file",
        "echo $TOKEN | docker login --password-stdin",
        "kubectl create configmap a --from-file=key=path",
        "vault kv get secret/application",
        "git config user.name somebody",
        "git config --global init.defaultBranch main",
        "kubectl config set-context somewhere --namespace=builds",
        "a set of things and a token bucket",
        "the net user interface design",
        "net use of memory in bytes",
        "# redis-cli with the option -a instead of --pass",
        "# use sshpass -p with care",
        "Login with the password manager, then log in",
        "You may login somewhere with password prompts",
        "the mysql -p option asks",
        "http is not https, see ab -A",
        "security is a process -- not a product",
        "gitlab-runner run --working-directory builds -r",
        "dig +short example.com",
        "52:54:00:12:34:56",
        "2001:1234:5678:9abc:def0:1234:5678:9abc",
        "nmcli connection up office",
        "2026-01-01T10:00:00:00 a:b",
        "key: $6 and $5 each",
        "eyJ is how they begin",
        "AKIA is not a key",
        "Basic authentication is off",
        "machine learning needs a password-less login",
    ] {
        if hidden(text) != text {
            wrong.push(hidden(text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A list of many names of programs is no command whose words are compared with each other.
#[test]
fn long_lists_are_read_once() {
    let text = "- mysql-client\n".repeat(20_000);
    assert_eq!(find(&text), []);
    let text = format!("mysql {}", "redis-cli -x ".repeat(5_000));
    assert_eq!(find(&text), []);
}

/// The name says it, and only what stands between is another notation.
#[test]
fn names_before_their_values_in_many_notations() {
    const SECRET: &str = "Wolke77granit";
    for line in [
        "<password><![CDATA[@]]></password>",
        "<wsse:Password Type=\"x\">@</wsse:Password>",
        "<Password><Value>@</Value></Password>",
        "<entry key=\"db.password\">@</entry>",
        "<property><name>db.password</name><value>@</value></property>",
        "<member><name>password</name><value><string>@</string></value></member>",
        "<key>Password</key><string>@</string>",
        "password: &pw @",
        "DB_PASSWORD ?= @",
        "DB_PASSWORD += @",
        "DB_PASSWORD ::= @",
        "set(DB_PASSWORD \"@\")",
        "$cfg{password} = \"@\";",
        "{default_pass, <<\"@\">>}.",
        "{{ password | default('@') }}",
        "(password . \"@\")",
        "| DB_PASSWORD | @ |",
        "neighbor 10.0.0.1 password @",
        "enable password 7 @",
        "mysql-server mysql-server/root_password password @",
        "machine example.com login anna port 587 password @",
        "user anna pass @",
        "rootpw --plaintext @",
        "storepass @",
        "authkey @",
        "# the password is @",
    ] {
        let text = line.replace('@', SECRET);
        assert!(!hidden(&text).contains(SECRET), "{text} -> {}", hidden(&text));
    }
    for line in [
        "change your password regularly",
        "# a token is needed",
        "password required pam_unix.so",
        "| password | see the safe |",
        "auth sufficient pam_rootok.so",
        "PasswordAuthentication no",
        "set(TOKEN_FILE \"/etc/token\")",
        "<key>PasswordPolicy</key><string>strict</string>",
        "{{ password | default('') }}",
    ] {
        assert_eq!(hidden(line), line);
    }
}

/// Formats in which no name stands before the value; also what they are with words that nobody would take for a secret.
#[test]
fn formats_of_their_own() {
    let mut missed = Vec::new();
    for secret in ["wolkengranit", "Wolke77granit", "81726354"] {
        for text in [
            "\"app\" \"CANARY\"",
            "\"app\" \"CANARY\" \"comment\"",
            "requirepass CANARY",
            "masterauth \"CANARY\"",
            "user default on >CANARY ~* &* +@all",
            "user app on resetpass >first-of-two >CANARY ~app:* -@all +get",
            "ACL SETUSER app on >CANARY allkeys +@all",
            "redis-cli acl setuser app on '>CANARY' ~*",
            "    stats auth admin:CANARY",
            "    user admin insecure-password CANARY",
            "HashedControlPassword 16:CANARY",
            "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad:descriptor:x25519:CANARY",
            "variable \"db_password\" {\n  type    = string\n  default = \"CANARY\"\n}",
            "variable \"db\" {\n  description = \"of the database\"\n  sensitive = true\n  default   = \"CANARY\"\n}",
            "variable \"db\" {\n  default = {\n    user = \"CANARY\"\n  }\n  sensitive = true\n}",
            "variable \"db\" {\n  sensitive = true\n  default = <<-EOT\n    CANARY\n  EOT\n}",
            "output \"db\" {\n  value = \"CANARY\"\n  sensitive = true\n}",
            "variable \"db_password\" { default = \"CANARY\" }",
            "user,password\nanna,CANARY\nbert,\"CANARY\"",
            "name;e-mail;Initial Password;role\nanna;a@b.example;CANARY;x",
            "url\tusername\tpassword\nhttps://x\tanna\tCANARY",
            "\"url\",\"password\",\"note\"\n\"https://x\",\"CANARY\",\"a, b\"",
            "h:5432:app:u:CANARY",
            "machine h login u password CANARY",
            "[client]\nuser = app\npassword = CANARY",
            "[client]\npassword=\"CANARY\"",
            "    psk=\"CANARY\"",
            "    wep_key0=\"CANARY\"",
            "wpa_passphrase=CANARY",
            "h1 ansible_host=10.0.0.1 ansible_password=CANARY ansible_user=x",
            "ansible_become_pass: CANARY",
            "ansible_ssh_pass=CANARY",
            "users:\n- name: a\n  user:\n    token: CANARY",
            "users:\n- name: a\n  user:\n    username: a\n    password: CANARY",
            "anna:{PLAIN}CANARY:1000:1000::/home/anna",
            "register => anna:CANARY@sip.example.com",
            "10.1.1.1 10.1.1.2 : PSK \"CANARY\"",
            "anna : EAP \"CANARY\"",
            "bob Cleartext-Password := \"CANARY\"",
        ] {
            let text = format!("# a line\n{}\nanother = 1\n", text.replace("CANARY", secret));
            let shown = hidden(&text);
            if shown.contains(secret) || !shown.contains("another = 1") {
                missed.push(shown);
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let of = |text: &str| hidden(text);
    let long = "Zq4Vw7Xk2Bn8Mc5Rt1YpLs9D";
    for text in [
        "{\n  \"kty\": \"RSA\",\n  \"n\": \"public-part\",\n  \"d\": \"CANARY\",\n  \"p\": \"CANARY\"\n}",
        "{\"d\":\"CANARY\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"public-part\"}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"CANARY\",\"x\":\"public-part\"}]}",
        "key = \"{\\\"kty\\\":\\\"oct\\\",\\\"k\\\":\\\"CANARY\\\",\\\"x\\\":\\\"public-part\\\"}\"",
    ] {
        let shown = of(&text.replace("CANARY", long));
        assert!(!shown.contains(long), "{shown}");
        assert!(text.starts_with("key") || shown.contains("public-part"), "{shown}");
    }
    let shown = of("anna:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:209C6174DA490CAEB422F3FA5A7AE634:[U          ]:LCT-1:");
    assert!(shown.starts_with("anna:1000:(hidden)") && !shown.contains("209C"), "{shown}");
    assert_eq!(of(&format!("user a on #{} +@all", "0a".repeat(32))), "user a on #(hidden) +@all");
    assert_eq!(of("user,password\nanna,wolken\nbert,granit\n"), "user,password\nanna,(hidden)\nbert,(hidden)\n");
}

/// What looks like such a format and holds nothing.
#[test]
fn formats_that_are_alike() {
    for text in [
        "user nginx;",
        "user www-data www-data\ngroup > something",
        "echo user anna > /dev/null",
        "variable \"region\" {\n  default = \"eu-west-1\"\n}",
        "variable \"region\" {\n  default = \"eu-west-1\"\n  sensitive = false\n}",
        "variable \"db_password\" {\n  type = string\n  description = \"of the database\"\n}",
        "variable \"db_password\" {\n  default = \"${var.other}\"\n}",
        "user,group\nanna,staff",
        "user,password_file\nanna,somewhere",
        "a password, a key\nor something else, maybe",
        "stats enable\nstats uri /haproxy",
        "{\"d\": \"2026-01-01T00\", \"k\": \"something\"}",
        "register => mailbox",
        "register = 1",
        "ControlPort 9051",
        "add_header \"X-Frame-Options\" \"DENY\";",
        "10.1.1.1 : RSA moon.pem",
    ] {
        assert_eq!(hidden(text), text);
    }
}
