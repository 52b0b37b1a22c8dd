// What librdkafka's words about a failed connection most often mean, for a person. Pure.
//
// The library tells a dead address, a port that speaks TLS and one that does not by a text only, and no code beside it says
// more. So the text is looked at here, for the sentence that is added to it, and nowhere to decide anything: words that are
// not recognised are shown as they are.
//
// When adding a hint: cause the failure with the loaded library and keep its words as a test.

package struct ConnectionHint: Sendable, Hashable {
    package var why: String
    package var now: String

    package static func of(_ words: String) -> ConnectionHint? {
        for (signs, hint) in known where signs.contains(where: words.contains) { return hint }
        return nil
    }

    /// Whether a connection failed to a broker that the cluster named: librdkafka writes its number behind the address, and "bootstrap"
    /// behind one that was given.
    package static func isOfNamedBroker(_ words: String) -> Bool {
        words.firstMatch(of: #/\/[0-9]+: Connect to /#) != nil
    }

    private static let known: [(signs: [String], hint: ConnectionHint)] = [
        (
            ["alert bad certificate", "alert certificate", "alert unknown ca", "alert unsupported certificate"],
            ConnectionHint(
                why: "the broker does not take the certificate that this client shows, or it shows none",
                now: "show one of an authority that the broker trusts: kafka.ssl.certificate.location=FILE and kafka.ssl.key.location=FILE")
        ),
        (
            ["possibly due to incorrect security.protocol", "connecting to a SSL listener", "in state APIVERSION_QUERY"],
            ConnectionHint(
                why: "perhaps that port wants TLS or a login, and this client speaks neither",
                now: "set kafka.security.protocol to what the listener speaks (ssl, sasl_ssl, sasl_plaintext), or take its plain port")
        ),
        (
            ["wrong version number", "connecting to a PLAINTEXT broker listener", "SSL connection closed by peer", "unexpected message", "packet length too long"],
            ConnectionHint(
                why: "that port speaks no TLS",
                now: "leave kafka.security.protocol out or set it to plaintext (sasl_plaintext), or take the TLS port")
        ),
        (
            ["certificate verify failed"],
            ConnectionHint(
                why: "the broker's certificate is of no authority that this client trusts",
                now: "name the authority with kafka.ssl.ca.location=FILE")
        ),
        (
            ["Failed to resolve", "Name or service not known"],
            ConnectionHint(
                why: "that name is not known on this host",
                now: "check the name; if it is not the one you gave, it is the broker's advertised.listeners, which every client must resolve")
        ),
    ]
}
