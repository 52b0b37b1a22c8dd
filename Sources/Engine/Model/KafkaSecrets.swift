// The secrets among librdkafka's properties, as each process finds them for itself (protocol 13).
//
// A job's settings never hold a secret: in the catalog and on the wire stands at most `file:PATH`. What is given as a
// variable, SLUICE_KAFKA__SASL_PASSWORD, is read by every process from its own environment.

import Foundation

package enum KafkaSecrets {
    private static let prefix = "SLUICE_KAFKA__"

    package static func isSecret(_ property: String) -> Bool {
        property.contains("password") || property.contains("secret") || property.hasSuffix("key.pem")
            || property.hasSuffix("oauthbearer.config")
    }

    /// `properties` with the secrets of this process's environment, and `file:PATH` read.
    package static func resolved(
        _ properties: [String: String], environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> [String: String] {
        var result = properties
        for (variable, value) in environment where variable.hasPrefix(prefix) && !value.isEmpty {
            let property = variable.dropFirst(prefix.count).lowercased().replacing("_", with: ".")
            if isSecret(property) && result[property] == nil { result[property] = value }
        }
        for (property, value) in result where isSecret(property) && value.hasPrefix("file:") {
            let path = String(value.dropFirst(5))
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Failure(
                    .fileMissing, "the secret for kafka.\(property) cannot be read",
                    why: "the file \(path) is missing or not readable", now: "check the path and its permissions")
            }
            result[property] = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
        }
        return result
    }
}
