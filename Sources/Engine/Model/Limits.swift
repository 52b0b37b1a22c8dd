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

    /// Bytes of rows that one call of a decoder is given, so that what they become is bounded whatever the client holds: a
    /// small compressed batch may unpack to gigabytes of records. A longer record goes by itself. Columns of texts are
    /// reserved for all of it, and a column holds at most 2 GiB.
    package static let decodeBytes = 16 << 20

    /// Bytes that compressed rows from another process may unpack to. A larger block is written plain; one that claims
    /// more is refused before memory is taken for it, so that a decompression bomb costs its own size.
    package static let inflatedBytes = 64 << 20

    /// Bytes of one block or state file, unpacked. A larger one is refused.
    package static let blockBytes = 1 << 30

    /// Ranges of rejected, and of late, offsets that one batch's row in the log names (at least one a task). Those beyond go into a
    /// file that it names (`OffsetFile`), so that a batch in which every second record is bad costs the log no more.
    package static let listedRanges = 1000

    /// Bytes of one task's ranges in such a file; two to four make a range. Offsets beyond are counted (`rejectedUnlisted`,
    /// `lateUnlisted`).
    package static let packedRangeBytes = 32 << 20

    /// Bytes of one answer of a Kafka broker, and of what the client unpacks one compressed batch to where it keeps to a
    /// bound. A larger answer is an error of the read.
    package static let fetchAnswerBytes = 64 << 20

    /// Bytes of a CSV file, which is held in memory whole. A larger one is refused with `limitExceeded`.
    package static let csvBytes = 1 << 30
}
