// How a broker lets us in: the kafka.security.*, kafka.ssl.* and kafka.sasl.* settings that a fetching reader understands. Pure.
//
// Names, values and defaults are librdkafka's. What is not here (Kerberos, OAUTHBEARER, key stores, engines, revocation lists)
// makes `ReaderChoice` take librdkafka.

package struct BrokerAccess: Sendable {
    package enum Mechanism: String, Sendable, CaseIterable {
        case plain = "PLAIN"
        case scram256 = "SCRAM-SHA-256"
        case scram512 = "SCRAM-SHA-512"
    }

    package struct TLS: Sendable {
        /// A file or a directory; nil for the system's authorities.
        package var authorities: String?
        package var authoritiesPEM: String?
        package var certificateFile: String?
        package var certificatePEM: String?
        package var keyFile: String?
        package var keyPEM: String?
        package var keyPassword: String?
        package var checksCertificate = true
        package var checksHost = true
        package var ciphers: String?
        package var curves: String?
        package var signatures: String?
    }

    package struct Login: Sendable {
        package var mechanism: Mechanism
        package var user: String
        package var password: String
    }

    /// Nil for a connection without TLS.
    package var tls: TLS?
    /// Nil where nobody logs in.
    package var login: Login?

    package static let protocols: Set<String> = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
    package static let understood: Set<String> = [
        "security.protocol", "ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location",
        "ssl.key.pem", "ssl.key.password", "ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification",
        "ssl.cipher.suites", "ssl.curves.list", "ssl.sigalgs.list", "sasl.mechanism", "sasl.mechanisms", "sasl.username",
        "sasl.password",
    ]

    private static func usesLogin(_ properties: [String: String]) -> Bool {
        properties["security.protocol"]?.lowercased().hasPrefix("sasl_") ?? false
    }

    /// What of these properties is not understood, in words; nil when everything is.
    package static func obstacle(_ properties: [String: String]) -> String? {
        let spoken = properties["security.protocol"]?.lowercased() ?? "plaintext"
        guard protocols.contains(spoken) else { return "kafka.security.protocol is \(spoken)" }
        guard usesLogin(properties) else { return nil }
        let mechanism = properties["sasl.mechanism"] ?? properties["sasl.mechanisms"] ?? "GSSAPI"
        return Mechanism(rawValue: mechanism) == nil ? "kafka.sasl.mechanism is \(mechanism)" : nil
    }

    package init(_ properties: [String: String]) {
        let spoken = properties["security.protocol"]?.lowercased() ?? "plaintext"
        func isTrue(_ name: String) -> Bool { properties[name].map { ["true", "1", "t"].contains($0.lowercased()) } ?? true }
        if spoken.hasSuffix("ssl") {
            var tls = TLS()
            tls.authorities = properties["ssl.ca.location"].flatMap { $0 == "probe" ? nil : $0 }
            tls.authoritiesPEM = properties["ssl.ca.pem"]
            tls.certificateFile = properties["ssl.certificate.location"]
            tls.certificatePEM = properties["ssl.certificate.pem"]
            tls.keyFile = properties["ssl.key.location"]
            tls.keyPEM = properties["ssl.key.pem"]
            tls.keyPassword = properties["ssl.key.password"]
            tls.checksCertificate = isTrue("enable.ssl.certificate.verification")
            tls.checksHost = properties["ssl.endpoint.identification.algorithm"]?.lowercased() != "none"
            tls.ciphers = properties["ssl.cipher.suites"]
            tls.curves = properties["ssl.curves.list"]
            tls.signatures = properties["ssl.sigalgs.list"]
            self.tls = tls
        }
        if Self.usesLogin(properties),
            let mechanism = Mechanism(rawValue: properties["sasl.mechanism"] ?? properties["sasl.mechanisms"] ?? "")
        {
            login = Login(
                mechanism: mechanism, user: properties["sasl.username"] ?? "", password: properties["sasl.password"] ?? "")
        }
    }
}
