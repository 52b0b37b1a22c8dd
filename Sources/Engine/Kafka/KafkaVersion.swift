// Which librdkafka is really loaded, and what is wrong with it.
//
// The product is built against the headers that are installed and may run with a newer library (its run path) or with
// an older one. So whatever depends on the version asks here at run time. `knownDefects` is pure and is what `doctor`
// and the warning at start print; an empty list means that no defect is known that our guards have to live with.
//
// When adding a defect: name what a user would see, not the library's internals.

import CRdKafka

/// The version of a Kafka client library.
package struct KafkaVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var major: Int
    package var minor: Int
    package var patch: Int

    package init(_ major: Int, _ minor: Int, _ patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// From the library's number, `0xMMmmrrxx`.
    package init(number: Int32) {
        self.init(Int(number >> 24 & 0xff), Int(number >> 16 & 0xff), Int(number >> 8 & 0xff))
    }

    /// Of the library that this process runs with.
    package static var loaded: KafkaVersion { KafkaVersion(number: rd_kafka_version()) }

    /// Of the headers that this program was built with: the distribution's library.
    package static let built = KafkaVersion(number: Int32(RD_KAFKA_VERSION))

    /// The first version that the product is meant to run on.
    package static let minimum = KafkaVersion(2, 6, 1)

    package static func < (left: KafkaVersion, right: KafkaVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    package var description: String { "\(major).\(minor).\(patch)" }

    /// What a user of this version has to expect, in plain words; empty from 2.6.1 on.
    package var knownDefects: [String] {
        Self.defects.filter { self < $0.fixedIn }.map { "\($0.text) (fixed in \($0.fixedIn))" }
    }

    private static let defects: [(fixedIn: KafkaVersion, text: String)] = [
        (KafkaVersion(2, 1, 0), "records can be skipped after a partition was paused and resumed"),
        (KafkaVersion(2, 1, 0), "a log truncated by an unclean leader election is not noticed"),
        (KafkaVersion(2, 2, 0), "a TLS connection closed by the broker can reset offsets"),
        (KafkaVersion(2, 2, 0), "a reader with bounded memory stands still for a second whenever its queue was full"),
        (KafkaVersion(2, 3, 0), "a failed host look-up can reset offsets"),
        (KafkaVersion(2, 3, 0), "topic ids cannot be asked for; a recreated topic is found by its last record only"),
        (KafkaVersion(2, 4, 0), "records can be delivered twice"),
        (KafkaVersion(2, 6, 1), "SCRAM users cannot log in to Kafka 4"),
    ]
}
