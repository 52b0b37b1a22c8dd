// What one attempt tells of its work: mostly nothing.
//
// A small batch is mostly messages, and a report mostly zeros and empty lists (no record rejected, no row late). What is
// at its default is not sent, and what is missing is read as its default; so a new field needs one in both.

import Engine
import Foundation

/// What one attempt did. Nothing of it has left the worker yet.
package struct TaskReport: Codable, Sendable {
    package var records: Int64 = 0
    package var bytes: Int64 = 0
    package var rowsIn: Int64 = 0
    package var late: Int64 = 0
    package var unmatched: Int64 = 0
    /// Rows that failed in an expression and are left out, or values that are NULL for it.
    package var failed: Int64 = 0
    package var rejected: Int64 = 0
    package var rejectedRanges: [OffsetRange] = []
    package var lateRanges: [OffsetRange] = []
    /// Files with the ranges of rejected and of late offsets that are not listed here.
    package var offsetFiles: [OffsetFile] = []
    /// Offsets that are in no range and no file.
    package var rejectedUnlisted: Int64 = 0
    package var lateUnlisted: Int64 = 0
    package var quarantine: [QuarantinedRecord] = []
    /// The first rejected record.
    package var rejectExample: RejectExample?
    /// Ids in the framings of Avro records, where one schema stands for any.
    package var schemaIDs: [UInt32] = []
    package var maxEventTimeMillis: Int64?
    package var tailOffset: Int64?
    package var tailHash: String?
    /// The leader's epoch of the last record batch read, where the reader can tell it.
    package var leaderEpoch: Int32?
    /// Records without a value.
    package var tombstones: Int64 = 0
    /// Destinations for which this attempt holds a block.
    package var destinations: [Int] = []
    package var blockBytes: Int64 = 0
    /// Last stage: rows waiting to be sealed, under the sink part they belong to.
    package var sinkPart: Int = 0
    package var rowsOut: Int64 = 0
    package var digest: String?
    /// Stateful stages: what to add to the manifest entry of this part; nil when no key changed.
    package var state: StateFile?
    package var inlineState: Data?
    package var stateRows: Int64 = 0
    package var stateBytes: Int64 = 0
    package var millis: Double = 0
    /// Encoded output chunks, when the request asked for rows.
    package var rows: [Data]?
    package init() {}

    private enum CodingKeys: CodingKey {
        case records, bytes, rowsIn, late, unmatched, rejected, rejectedRanges, lateRanges, quarantine
        case maxEventTimeMillis, tailOffset, tailHash, destinations, blockBytes, sinkPart, rowsOut, digest, state
        case inlineState, stateRows, stateBytes, millis, rows, leaderEpoch, tombstones
        case rejectedUnlisted, lateUnlisted, rejectExample, schemaIDs, offsetFiles, failed
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        records = try values.decodeIfPresent(Int64.self, forKey: .records) ?? 0
        bytes = try values.decodeIfPresent(Int64.self, forKey: .bytes) ?? 0
        rowsIn = try values.decodeIfPresent(Int64.self, forKey: .rowsIn) ?? 0
        late = try values.decodeIfPresent(Int64.self, forKey: .late) ?? 0
        unmatched = try values.decodeIfPresent(Int64.self, forKey: .unmatched) ?? 0
        failed = try values.decodeIfPresent(Int64.self, forKey: .failed) ?? 0
        rejected = try values.decodeIfPresent(Int64.self, forKey: .rejected) ?? 0
        rejectedRanges = try values.decodeIfPresent([OffsetRange].self, forKey: .rejectedRanges) ?? []
        lateRanges = try values.decodeIfPresent([OffsetRange].self, forKey: .lateRanges) ?? []
        quarantine = try values.decodeIfPresent([QuarantinedRecord].self, forKey: .quarantine) ?? []
        maxEventTimeMillis = try values.decodeIfPresent(Int64.self, forKey: .maxEventTimeMillis)
        tailOffset = try values.decodeIfPresent(Int64.self, forKey: .tailOffset)
        tailHash = try values.decodeIfPresent(String.self, forKey: .tailHash)
        destinations = try values.decodeIfPresent([Int].self, forKey: .destinations) ?? []
        blockBytes = try values.decodeIfPresent(Int64.self, forKey: .blockBytes) ?? 0
        sinkPart = try values.decodeIfPresent(Int.self, forKey: .sinkPart) ?? 0
        rowsOut = try values.decodeIfPresent(Int64.self, forKey: .rowsOut) ?? 0
        digest = try values.decodeIfPresent(String.self, forKey: .digest)
        state = try values.decodeIfPresent(StateFile.self, forKey: .state)
        inlineState = try values.decodeIfPresent(Data.self, forKey: .inlineState)
        stateRows = try values.decodeIfPresent(Int64.self, forKey: .stateRows) ?? 0
        stateBytes = try values.decodeIfPresent(Int64.self, forKey: .stateBytes) ?? 0
        millis = try values.decodeIfPresent(Double.self, forKey: .millis) ?? 0
        rows = try values.decodeIfPresent([Data].self, forKey: .rows)
        leaderEpoch = try values.decodeIfPresent(Int32.self, forKey: .leaderEpoch)
        tombstones = try values.decodeIfPresent(Int64.self, forKey: .tombstones) ?? 0
        rejectedUnlisted = try values.decodeIfPresent(Int64.self, forKey: .rejectedUnlisted) ?? 0
        lateUnlisted = try values.decodeIfPresent(Int64.self, forKey: .lateUnlisted) ?? 0
        offsetFiles = try values.decodeIfPresent([OffsetFile].self, forKey: .offsetFiles) ?? []
        rejectExample = try values.decodeIfPresent(RejectExample.self, forKey: .rejectExample)
        schemaIDs = try values.decodeIfPresent([UInt32].self, forKey: .schemaIDs) ?? []
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        if records != 0 { try values.encode(records, forKey: .records) }
        if bytes != 0 { try values.encode(bytes, forKey: .bytes) }
        if rowsIn != 0 { try values.encode(rowsIn, forKey: .rowsIn) }
        if late != 0 { try values.encode(late, forKey: .late) }
        if unmatched != 0 { try values.encode(unmatched, forKey: .unmatched) }
        if failed != 0 { try values.encode(failed, forKey: .failed) }
        if rejected != 0 { try values.encode(rejected, forKey: .rejected) }
        if !rejectedRanges.isEmpty { try values.encode(rejectedRanges, forKey: .rejectedRanges) }
        if !lateRanges.isEmpty { try values.encode(lateRanges, forKey: .lateRanges) }
        if !quarantine.isEmpty { try values.encode(quarantine, forKey: .quarantine) }
        try values.encodeIfPresent(maxEventTimeMillis, forKey: .maxEventTimeMillis)
        try values.encodeIfPresent(tailOffset, forKey: .tailOffset)
        try values.encodeIfPresent(tailHash, forKey: .tailHash)
        if !destinations.isEmpty { try values.encode(destinations, forKey: .destinations) }
        if blockBytes != 0 { try values.encode(blockBytes, forKey: .blockBytes) }
        if sinkPart != 0 { try values.encode(sinkPart, forKey: .sinkPart) }
        if rowsOut != 0 { try values.encode(rowsOut, forKey: .rowsOut) }
        try values.encodeIfPresent(digest, forKey: .digest)
        try values.encodeIfPresent(state, forKey: .state)
        try values.encodeIfPresent(inlineState, forKey: .inlineState)
        if stateRows != 0 { try values.encode(stateRows, forKey: .stateRows) }
        if stateBytes != 0 { try values.encode(stateBytes, forKey: .stateBytes) }
        if millis != 0 { try values.encode(millis, forKey: .millis) }
        try values.encodeIfPresent(rows, forKey: .rows)
        try values.encodeIfPresent(leaderEpoch, forKey: .leaderEpoch)
        if tombstones != 0 { try values.encode(tombstones, forKey: .tombstones) }
        if rejectedUnlisted != 0 { try values.encode(rejectedUnlisted, forKey: .rejectedUnlisted) }
        if lateUnlisted != 0 { try values.encode(lateUnlisted, forKey: .lateUnlisted) }
        if !offsetFiles.isEmpty { try values.encode(offsetFiles, forKey: .offsetFiles) }
        try values.encodeIfPresent(rejectExample, forKey: .rejectExample)
        if !schemaIDs.isEmpty { try values.encode(schemaIDs, forKey: .schemaIDs) }
    }
}
