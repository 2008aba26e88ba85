/// The digest by which long golden values are compared (FIPS 180-4); Linux has no CryptoKit.
func sha256(_ message: [UInt8]) -> String {
    var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    var padded = message + [0x80]
    padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
    padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
    for start in stride(from: 0, to: padded.count, by: 64) {
        var words = (0..<16).map { place in
            (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(padded[start + 4 * place + $1]) }
        }
        for place in 16..<64 {
            let (a, b) = (words[place - 15], words[place - 2])
            let first = rotated(a, 7) ^ rotated(a, 18) ^ a >> 3, second = rotated(b, 17) ^ rotated(b, 19) ^ b >> 10
            words.append(words[place - 16] &+ first &+ words[place - 7] &+ second)
        }
        var now = state
        for place in 0..<64 {
            let (a, e) = (now[0], now[4])
            let chosen = e & now[5] ^ ~e & now[6], majority = a & now[1] ^ a & now[2] ^ now[1] & now[2]
            let first = now[7] &+ (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) &+ chosen &+ roundKeys[place] &+ words[place]
            let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
            now = [first &+ second, a, now[1], now[2], now[3] &+ first, e, now[5], now[6]]
        }
        for place in state.indices { state[place] &+= now[place] }
    }
    return state.map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
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
