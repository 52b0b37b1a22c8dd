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

/// The digest of the text's UTF-8.
package func digest(of text: String) -> String {
    digest(of: Array(text.utf8))
}
