// The one digest of bytes that is written down: settings, plans, schemas, lookups.
//
// 128 bits of XXH3, because content is also *found* by its digest and 64 bits would make a chance collision thinkable.
// It protects against mistakes, not against people: nothing here is a signature.
//
// When changing this file: digests stand in the logs of running jobs; another function means that every job refuses.

import CXXHash

/// 32 lower-case hexadecimal digits of XXH3 over `bytes`.
package func digest(of bytes: UnsafeRawBufferPointer) -> String {
    let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
    return hexadecimal(hash.high64) + hexadecimal(hash.low64)
}

package func digest(of bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { digest(of: $0) }
}

/// The digest of what `next` gives piece by piece: the same as that of all of it in one.
/// - Parameter next: puts bytes into the room that it is shown; 0 at the end.
package func digest(pieceBytes: Int, _ next: (UnsafeMutableRawBufferPointer) throws -> Int) rethrows -> String {
    let state = XXH3_createState()
    defer { XXH3_freeState(state) }
    XXH3_128bits_reset(state)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)
    defer { room.deallocate() }
    while true {
        let count = try next(room)
        if count == 0 { break }
        XXH3_128bits_update(state, room.baseAddress, count)
    }
    let hash = XXH3_128bits_digest(state)
    return hexadecimal(hash.high64) + hexadecimal(hash.low64)
}

/// The digest of the text's UTF-8.
package func digest(of text: String) -> String {
    digest(of: Array(text.utf8))
}
