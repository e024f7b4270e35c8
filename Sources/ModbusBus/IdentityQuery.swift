package import Engine

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
    /// Asks by FC43/14 and FC17, by those of them that the channel can frame: a reply to FC43 says its length nowhere, so
    /// on RTU channels it is not asked.
    ///
    /// - Returns: empty when the unit knows neither.
    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription
}

/// The questions and their answers without framing.
enum IdentityQuery {
    static let serverID: [UInt8] = [0x11]
    /// Read Device Identification, basic stream from object 0.
    static let deviceIdentification: [UInt8] = [0x2B, 0x0E, 0x01, 0x00]

    static let cannotBeFramed = BusError.invalidRequest("Read Device Identification has no length on an RTU channel")

    /// The printable text of a reply to FC17: its id and run indicator are bytes of the device's own choice.
    static func serverID(in reply: [UInt8]) -> String? {
        guard reply.count > 2, reply[0] == 0x11, Int(reply[1]) == reply.count - 2 else { return nil }
        return text(reply[2...])
    }

    /// Objects of a reply to FC43/14; empty for anything else. A list that is cut short gives what is whole.
    static func objects(in reply: [UInt8]) -> [UInt8: String] {
        guard reply.count >= 7, reply[0] == 0x2B, reply[1] == 0x0E else { return [:] }
        var objects: [UInt8: String] = [:]
        var rest = reply[7...]
        for _ in 0..<reply[6] {
            guard rest.count >= 2 else { break }
            let id = rest[rest.startIndex]
            let length = Int(rest[rest.startIndex + 1])
            rest = rest.dropFirst(2)
            guard rest.count >= length else { break }
            objects[id] = text(rest.prefix(length)) ?? ""
            rest = rest.dropFirst(length)
        }
        return objects
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
        let printable = bytes.filter { (0x20...0x7E).contains($0) }
        let text = String(decoding: printable, as: UTF8.self)
        return text.allSatisfy { $0 == " " } ? nil : text
    }
}

extension StreamBus: InterviewingBus {
    package func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        guard framing == .tcp else { return DeviceDescription() }
        let objects = try? await identification(of: unit, timeout: timeout)
        let serverID = await answer(IdentityQuery.serverID, unit, timeout).flatMap(IdentityQuery.serverID)
        return DeviceDescription(objects: objects ?? [:], serverID: serverID)
    }

    package func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        guard framing == .tcp else { throw IdentityQuery.cannotBeFramed }
        let query = IdentityQuery.deviceIdentification
        let reply = try await transact(
            query, Expectation(unit: unit, function: query[0], replyByteCount: 0), timeout: timeout)
        if reply.count >= 2, reply[0] == query[0] | 0x80 { throw .refused(reply[1]) }
        guard reply.count >= 7, reply[0] == query[0], reply[1] == query[1] else {
            throw .garbled("no reply to Read Device Identification")
        }
        return IdentityQuery.objects(in: reply)
    }

    /// Nil when there is none: a question that a unit does not know is often met with silence.
    private func answer(_ pdu: [UInt8], _ unit: UInt8, _ timeout: Duration) async -> [UInt8]? {
        try? await transact(pdu, Expectation(unit: unit, function: pdu[0], replyByteCount: 0), timeout: timeout)
    }
}

extension SerialBus: InterviewingBus {
    package func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        throw IdentityQuery.cannotBeFramed
    }

    package func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        let reply = try? transact(IdentityQuery.serverID, unit: unit, replyByteCount: 64, timeout: timeout)
        return DeviceDescription(serverID: reply.flatMap(IdentityQuery.serverID))
    }
}
