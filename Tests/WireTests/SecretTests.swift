import Engine
import Testing

@Suite struct `Secrets` {
    @Test func `a secret prints as stars in every way of printing`() {
        struct Holder { var secret = Secret("hidden") }
        let secret = Secret("hidden")
        var dumped = ""
        dump(Holder(), to: &dumped)
        for text in [
            "\(secret)", String(describing: secret), String(reflecting: secret), "\(Holder())", "\([secret])", dumped,
        ] {
            #expect(!text.contains("hidden"), "\(text)")
        }
        #expect(secret.reveal() == "hidden")
    }

    @Test(arguments: [
        ("right", "right", true), ("right", "righ", false), ("right", "rightright", false), ("right", "", false),
        ("right", "Right", false), ("", "", true), ("", "x", false), ("a", "aa", false),
    ])
    func `a secret matches itself alone`(secret: String, other: String, isEqual: Bool) {
        #expect(Secret(secret).matches(other.utf8) == isEqual)
    }

    @Test(arguments: [
        ("postgres://bob:pw@host:5432/db", "postgres://bob:***@host:5432/db"),
        ("postgres://bob:p@w/x:y@host/db", "postgres://bob:***@host/db"),
        ("cannot open 'postgres://bob:pw@h/db', gave up", "cannot open 'postgres://bob:***@h/db', gave up"),
        ("a://u:p@h b://v:q@i", "a://u:***@h b://v:***@i"),
        ("host=h password=pw user=u", "host=h password=*** user=u"),
        ("host=h password='p w\\' x' user=u", "host=h password='***' user=u"),
        ("sasl.password=pw;x", "sasl.password=***;x"),
        ("PGPASSWORD=pw sluice", "PGPASSWORD=*** sluice"),
        ("{\"secret\": \"s3\", \"a\": 1}", "{\"secret\": \"***\", \"a\": 1}"),
        ("{\"password\":\"s\\\"3\"}", "{\"password\":\"***\"}"),
        ("client_secret=abc&x=1", "client_secret=***&x=1"),
        ("token: abc", "token: ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("authorization: bearer abc", "authorization: bearer ***"),
        ("password=", "password="),
    ])
    func `whatever may be a secret is hidden`(text: String, masked: String) {
        #expect(maskSecrets(text) == masked)
        #expect(maskSecrets(masked) == masked)
    }

    @Test(arguments: [
        "", "http://127.0.0.1:7070/v1/jobs", "sqlite:.sluice/catalog.db", "postgres://host/db",
        "postgres://bob@host/db",
        "the secret is missing", "--secret-file FILE", "tokens 5", "bearers", "mail bob@host", "ümlaut – 日本",
        "topic ad-events/0 [10, 20)",
    ])
    func `a text without a secret comes back as it was`(text: String) {
        #expect(maskSecrets(text) == text)
    }
}
