package import Engine
package import Model

/// What a device says about itself in words.
package struct DeviceDescription: Hashable, Sendable {
    /// Objects of FC43/14 in the order of their ids: vendor, product code, revision (Modbus Application Protocol V1.1b3, 6.21).
    package var objects: [UInt8: String]
    /// The answer to FC17 as far as it is printable (same document, 6.13).
    package var serverID: String?

    package init(objects: [UInt8: String] = [:], serverID: String? = nil) {
        self.objects = objects
        self.serverID = serverID
    }

    package var vendor: String? { objects[0] }
    package var product: String? { objects[1] }
    package var revision: String? { objects[2] }
    package var isEmpty: Bool { objects.isEmpty && serverID == nil }
}

/// A bus that can also ask devices who they are. Nothing it sends changes a device.
package protocol InterviewingBus: Bus {
    /// Reads like ``Bus/read(_:unit:timeout:)`` from a unit that may not exist: its silence says nothing about the channel,
    /// and leaves nothing to wait for to whoever asks next.
    func seek(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16]

    /// Asks by FC43/14, several times where the answer has several parts, and by FC17.
    ///
    /// - Returns: empty when the unit knows neither.
    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription
}

/// The questions and their answers without framing.
enum IdentityQuery {
    static let serverID: [UInt8] = [0x11]

    /// Read Device Identification, basic stream from `object` on.
    static func deviceIdentification(from object: UInt8) -> [UInt8] { [0x2B, 0x0E, 0x01, object] }

    /// Bytes of the reply PDU to one of these questions that begins here, nil while too little is there to know: unlike
    /// other replies their length is nowhere but in themselves.
    static func replyByteCount(_ pdu: some RandomAccessCollection<UInt8>) -> Int? {
        let bytes = pdu.prefix(256).map(\.self)
        switch bytes.first {
        case 0x11: return bytes.count > 1 ? Int(bytes[1]) + 2 : nil
        case 0x2B:
            guard bytes.count >= 7 else { return nil }
            var length = 7
            for _ in 0..<bytes[6] {
                guard length + 1 < bytes.count else { return nil }
                length += 2 + Int(bytes[length + 1])
            }
            return length
        case let function? where function & 0x80 != 0: return 2
        default: return nil
        }
    }

    /// The printable text of a reply to FC17: its id and run indicator are bytes of the device's own choice.
    static func serverID(in reply: [UInt8]) -> String? {
        guard reply.count > 2, reply[0] == 0x11, Int(reply[1]) == reply.count - 2 else { return nil }
        return text(reply[2...])
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
        let printable = bytes.filter { (0x20...0x7E).contains($0) }
        let text = String(decoding: printable, as: UTF8.self)
        return text.allSatisfy { $0 == " " } ? nil : text
    }

    /// One part of the answer to FC43/14. What it says about conformity is left aside: devices name levels that they do
    /// not have.
    struct Part: Hashable {
        var objects: [UInt8: String] = [:]
        /// Where the next part begins, nil after the last one.
        var next: UInt8?

        /// Nil for anything that is no answer to the question. A list that is cut short gives what is whole.
        init?(_ reply: [UInt8]) {
            guard reply.count >= 7, reply[0] == 0x2B, reply[1] == 0x0E else { return nil }
            var rest = reply[7...]
            for _ in 0..<reply[6] {
                guard rest.count >= 2 else { break }
                let id = rest[rest.startIndex]
                let length = Int(rest[rest.startIndex + 1])
                rest = rest.dropFirst(2)
                guard rest.count >= length else { break }
                objects[id] = IdentityQuery.text(rest.prefix(length)) ?? ""
                rest = rest.dropFirst(length)
            }
            if reply[4] == 0xFF { next = reply[5] }
        }
    }

    /// Parts that are asked for at most: three objects are basic, and a device that says "more" for ever is not believed.
    private static let partLimit = 8

    /// Asks part by part.
    ///
    /// - Parameter ask: gives the reply PDU to a request PDU, nil where none came.
    static func objects(isolation: isolated (any Actor)?, _ ask: ([UInt8]) async -> [UInt8]?) async -> [UInt8: String] {
        var objects: [UInt8: String] = [:]
        var from: UInt8 = 0
        for _ in 0..<partLimit {
            guard let part = await ask(deviceIdentification(from: from)).flatMap(Part.init) else { break }
            objects.merge(part.objects) { first, _ in first }
            guard let next = part.next, next > from else { break }
            from = next
        }
        return objects
    }

    /// Asks part by part; what does not come in full does not count.
    ///
    /// - Parameter ask: gives the reply PDU to a request PDU.
    static func identification(
        isolation: isolated (any Actor)?, _ ask: ([UInt8]) async throws(BusError) -> [UInt8]
    ) async throws(BusError) -> [UInt8: String] {
        var obstacle: BusError?
        let objects = await objects(isolation: isolation) { pdu in
            do throws(BusError) {
                let reply = try await ask(pdu)
                if let code = exception(in: reply) { throw .refused(code) }
                guard Part(reply) != nil else { throw .garbled("no reply to Read Device Identification") }
                return reply
            } catch {
                obstacle = error
                return nil
            }
        }
        if let obstacle { throw obstacle }
        return objects
    }

    private static func exception(in reply: [UInt8]) -> UInt8? {
        reply.count >= 2 && reply[0] == 0xAB ? reply[1] : nil
    }
}

extension StreamBus: InterviewingBus {
    package func seek(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        let request = try ReadRequest(span)
        let expected = Expectation(
            unit: unit, function: span.table.readFunction, replyByteCount: request.replyByteCount)
        return try request.words(of: try await transact(request.pdu, expected, timeout: timeout, isSeeking: true))
    }

    package func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        let objects = await IdentityQuery.objects(isolation: self) { await answer($0, unit, timeout) }
        let serverID = await answer(IdentityQuery.serverID, unit, timeout).flatMap(IdentityQuery.serverID)
        return DeviceDescription(objects: objects, serverID: serverID)
    }

    package func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        try await IdentityQuery.identification(isolation: self) { pdu throws(BusError) in
            let expected = Expectation(unit: unit, function: pdu[0], replyByteCount: nil)
            return try await transact(pdu, expected, timeout: timeout, isSeeking: true)
        }
    }

    /// Nil when there is none: a question that a unit does not know is often met with silence.
    private func answer(_ pdu: [UInt8], _ unit: UInt8, _ timeout: Duration) async -> [UInt8]? {
        try? await transact(
            pdu, Expectation(unit: unit, function: pdu[0], replyByteCount: nil), timeout: timeout, isSeeking: true)
    }
}

extension SerialBus: InterviewingBus {
    package func seek(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        do throws(BusError) {
            return try await read(span, unit: unit, timeout: timeout)
        } catch {
            settle(timeout)
            throw error
        }
    }

    package func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        try await IdentityQuery.identification(isolation: self) { pdu throws(BusError) in
            try transact(pdu, Expectation(unit: unit, function: pdu[0], replyByteCount: nil), timeout: timeout)
        }
    }

    package func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        let objects = await IdentityQuery.objects(isolation: self) {
            answer($0, unit, timeout)
        }
        let reply = answer(IdentityQuery.serverID, unit, timeout)
        settle(timeout)
        return DeviceDescription(objects: objects, serverID: reply.flatMap(IdentityQuery.serverID))
    }

    /// Nil when there is none: a question that a unit does not know is often met with silence.
    private func answer(_ pdu: [UInt8], _ unit: UInt8, _ timeout: Duration) -> [UInt8]? {
        try? transact(pdu, Expectation(unit: unit, function: pdu[0], replyByteCount: nil), timeout: timeout)
    }
}
