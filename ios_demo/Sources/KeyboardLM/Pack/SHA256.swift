/// The digest of a file's bytes, or of a long golden value (FIPS 180-4), in hexadecimal; Linux has no CryptoKit.
package func sha256(_ message: [UInt8]) -> String { message.withUnsafeBytes(sha256) }

package func sha256(_ message: UnsafeRawBufferPointer) -> String {
    var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    var words = [UInt32](repeating: 0, count: 64)
    let numWhole = message.count / 64
    for block in 0..<numWhole { mix(UnsafeRawBufferPointer(rebasing: message[64 * block..<64 * (block + 1)]), &state, &words) }
    var rest = Array(message[(64 * numWhole)...]) + [0x80]
    rest += [UInt8](repeating: 0, count: (120 - rest.count % 64) % 64)
    rest += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    rest.withUnsafeBytes { rest in
        for start in stride(from: 0, to: rest.count, by: 64) {
            mix(UnsafeRawBufferPointer(rebasing: rest[start..<start + 64]), &state, &words)
        }
    }
    return state.map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
}

private func mix(_ block: UnsafeRawBufferPointer, _ state: inout [UInt32], _ words: inout [UInt32]) {
    func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
    for place in 0..<16 { words[place] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self)) }
    for place in 16..<64 {
        let (a, b) = (words[place - 15], words[place - 2])
        let first = rotated(a, 7) ^ rotated(a, 18) ^ a >> 3, second = rotated(b, 17) ^ rotated(b, 19) ^ b >> 10
        words[place] = first &+ words[place - 16] &+ second &+ words[place - 7]
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3]), (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for place in 0..<64 {
        let first = h &+ (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) &+ (e & f ^ ~e & g) &+ roundKeys[place] &+ words[place]
        let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ (a & b ^ a & c ^ b & c)
        (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    for (place, value) in [a, b, c, d, e, f, g, h].enumerated() { state[place] &+= value }
}

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes, found as the definition has them.
private let roundKeys: [UInt32] = {
    var keys: [UInt32] = []
    var number: UInt64 = 2
    while keys.count < 64 {
        if (2..<number).allSatisfy({ number % $0 != 0 }) { keys.append(fractionOfCubeRoot(number)) }
        number += 1
    }
    return keys
}()

// Floor of the cube root of a number times 2^96, below 2^32, bit by bit in 128 bits of products.
private func fractionOfCubeRoot(_ number: UInt64) -> UInt32 {
    var root: UInt64 = 0  // of number << 96: at most 35 bits
    for bit in stride(from: 35, through: 0, by: -1) {
        let tried = root | 1 << UInt64(bit)
        let square = tried.multipliedFullWidth(by: tried)  // below 2^72
        let low = square.low.multipliedFullWidth(by: tried)
        let high = square.high &* tried &+ low.high  // the cube, from bit 64 on
        if high < number << 32 || (high == number << 32 && low.low == 0) { root = tried }
    }
    return UInt32(truncatingIfNeeded: root)
}
