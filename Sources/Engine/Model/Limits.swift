// Bounds of the engine: each with its unit, its reason, and what happens when it is reached.
//
// A bound that protects memory or time against hostile input stands here and is not a setting; a bound that a person may
// want to move is a setting with a default, and stands in `conf/`.

package enum Limits {
    /// Bytes of one record's value. Kafka's own default is 1 MiB; above 16 MiB a record is rejected as `tooLarge`.
    package static let recordBytes = 16 << 20

    /// Containers inside containers in one record. Deeper records are rejected as `tooDeep`; it also bounds the stack of
    /// the recursive skippers (about 150 bytes a level).
    package static let nesting = 100

    /// Bytes of a CSV file, which is held in memory whole. A larger one is refused with `limitExceeded`.
    package static let csvBytes = 1 << 30
}
