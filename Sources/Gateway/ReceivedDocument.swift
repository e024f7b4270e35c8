import Engine
import Foundation
import Model

/// A document as somebody received it; only `reading/1` and `gap/1` are rows of a journal.
struct ReceivedDocument: Decodable {
    struct Reading: Decodable {
        var point: String
        var def: String
        var time: String
        var value: Scalar
        var unit: String?
        var quality: String
        var reasons: [String]?
        var n: UInt64
        var raw: String?
    }

    /// A value as the document carries it.
    enum Scalar: Hashable, Decodable {
        case null
        case number(Double)
        case bool(Bool)
        case text(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let bool = try? container.decode(Bool.self) {
                self = .bool(bool)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    private enum CodingKeys: String, CodingKey {
        case schema, gateway, epoch, seq, part, parts, device, readings, point, from, to, reason, count
        case fromSeq = "from_seq"
        case toSeq = "to_seq"
    }

    var schema: String
    /// A `device/1` has none.
    var gateway: String?
    var epoch: UInt32?
    var seq: UInt64?
    var part: Int?
    var parts: Int?
    var device: String?
    var readings: [Reading]?
    var point: String?
    var fromSeq: UInt64?
    var toSeq: UInt64?
    var from: String?
    var to: String?
    var reason: String?
    var count: UInt64?

    /// SQLite numbers rows with 63 bits: a journal gives no others.
    private static let possible: ClosedRange<UInt64> = 1...UInt64(Int64.max)

    /// The row and the gateway that sent it, nil for documents that are none (`status/1`, `device/1`).
    ///
    /// - Throws: ``Malformed`` where a member is missing or impossible.
    func row() throws -> (gateway: String, row: ReceivedRow)? {
        guard schema == "reading/1" || schema == "gap/1" else { return nil }
        guard let gateway else { throw Malformed("no member 'gateway'") }
        guard let epoch, let seq, Self.possible.contains(seq) else { throw Malformed("no epoch or no possible seq") }
        return (gateway, schema == "gap/1" ? try gapRow(epoch, seq) : try readingRow(epoch, seq))
    }

    private func readingRow(_ epoch: UInt32, _ seq: UInt64) throws -> ReceivedRow {
        guard let device, let readings, !readings.isEmpty else { throw Malformed("no device or no readings") }
        var place: ReceivedRow.Part?
        if part != nil || parts != nil {
            guard let part, let parts, parts > 0, (1...parts).contains(part) else {
                throw Malformed("part \(part ?? 0) of \(parts ?? 0)")
            }
            place = .init(number: part, count: parts)
        }
        let digest = readings.reduce(UInt64(0)) { $0 &+ $1.digest(device) }
        return ReceivedRow(
            epoch: epoch, position: seq, digest: digest, part: place,
            readings: readings.map { .init(point: $0.point, number: $0.n) })
    }

    private func gapRow(_ epoch: UInt32, _ seq: UInt64) throws -> ReceivedRow {
        guard let reason = GapReason.allCases.first(where: { $0.code == self.reason }) else {
            throw Malformed("unknown gap reason '\(reason ?? "")'")
        }
        guard let from, let to, let count else { throw Malformed("a gap needs from, to and count") }
        var positions: ClosedRange<Position>?
        if fromSeq != nil || toSeq != nil {
            guard let fromSeq, let toSeq, fromSeq <= toSeq, Self.possible.contains(fromSeq),
                Self.possible.contains(toSeq)
            else { throw Malformed("from_seq and to_seq name no possible rows") }
            positions = fromSeq...toSeq
        }
        var hasher = Hasher()
        for text in [device, point, from, to, reason.code] { hasher.combine(text) }
        for number in [fromSeq, toSeq, count] { hasher.combine(number) }
        return ReceivedRow(
            epoch: epoch, position: seq, digest: UInt64(bitPattern: Int64(hasher.finalize())),
            gap: .init(positions: positions, reason: reason, count: count))
    }

    struct Malformed: Error, CustomStringConvertible {
        var description: String

        init(_ description: String) {
            self.description = description
        }
    }
}

extension ReceivedDocument.Reading {
    func digest(_ device: String) -> UInt64 {
        var hasher = Hasher()
        for text in [device, point, def, time, unit, quality, raw] { hasher.combine(text) }
        hasher.combine(value)
        hasher.combine(reasons)
        hasher.combine(n)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
