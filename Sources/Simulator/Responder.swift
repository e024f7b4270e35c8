import CModbus
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Answers one request of a master through libmodbus: the registers come from the simulated unit, the reply is built and
/// sent by `modbus_reply`.
struct Responder {
    let units: [UInt8: SimulatedUnit]
    let faults: FaultPlan

    enum Outcome {
        case answered, silent, dropped
    }

    /// - Parameters:
    ///   - request: unit and PDU begin at `header`, as libmodbus received it.
    ///   - unknownUnitIsSilent: on a serial line nobody answers for a unit that is not there; a TCP gateway says 0x0B.
    func answer(
        _ request: [UInt8], header: Int, context: OpaquePointer, unknownUnitIsSilent: Bool
    ) -> Outcome {
        let unitAddress = request[header - 1]
        let fault = faults.fault(of: unitAddress)
        switch fault {
        case .silence: return .silent
        case .drop: return .dropped
        case .exception(let code):
            return reply(exception: code, to: request, context)
        case .delay(let duration):
            usleep(UInt32(duration.microseconds))
        case .clamp, .deafWrites, .muteWrites, .most, nil: break
        }
        guard let unit = units[unitAddress] else {
            return unknownUnitIsSilent
                ? .silent : reply(exception: ModbusException.targetFailed.rawValue, to: request, context)
        }
        return answer(Array(request[header...]), request, from: WriteTarget(unit: unit, fault: fault), context)
    }

    private func answer(
        _ pdu: [UInt8], _ request: [UInt8], from unit: WriteTarget, _ context: OpaquePointer
    ) -> Outcome {
        if pdu[0] == 0x2B, !unit.unit.objects.isEmpty {
            return identification(of: unit.unit, pdu, request, context)
        }
        guard pdu.count >= 5 else { return reply(exception: 3, to: request, context) }
        let start = UInt16(pdu[1]) << 8 | UInt16(pdu[2])
        let second = UInt16(pdu[3]) << 8 | UInt16(pdu[4])
        switch pdu[0] {
        case 1...4:
            guard let table = RegisterTable.allCases.first(where: { $0.readFunction == pdu[0] }) else { return .silent }
            let span = RegisterSpan(table: table, start: start, registerCount: Int(second))
            if case .most(let limit)? = unit.fault, span.registerCount > limit {
                return reply(exception: ModbusException.illegalValue.rawValue, to: request, context)
            }
            return reply(with: unit.unit.read(span), span, to: request, context)
        case 5: return write(unit, [second == 0xFF00 ? 1 : 0], start, .coil, request, context)
        case 6: return write(unit, [second], start, .holding, request, context)
        case 15:
            guard pdu.count >= 6 + (Int(second) + 7) / 8 else { return reply(exception: 3, to: request, context) }
            let bits = (0..<Int(second)).map { UInt16(pdu[6 + $0 / 8] >> UInt8($0 % 8) & 1) }
            return write(unit, bits, start, .coil, request, context)
        case 16:
            guard pdu.count >= 6 + Int(second) * 2 else { return reply(exception: 3, to: request, context) }
            let words = (0..<Int(second)).map { UInt16(pdu[6 + $0 * 2]) << 8 | UInt16(pdu[7 + $0 * 2]) }
            return write(unit, words, start, .holding, request, context)
        case 22:
            guard pdu.count >= 7 else { return reply(exception: 3, to: request, context) }
            return mask(unit, start, and: second, or: UInt16(pdu[5]) << 8 | UInt16(pdu[6]), request, context)
        default: return reply(exception: ModbusException.illegalFunction.rawValue, to: request, context)
        }
    }

    private func reply(
        with result: Result<[UInt16], ModbusException>, _ span: RegisterSpan, to request: [UInt8],
        _ context: OpaquePointer
    ) -> Outcome {
        switch result {
        case .failure(let code): return reply(exception: code.rawValue, to: request, context)
        case .success(let words): return reply(from: span, words, to: request, context)
        }
    }

    private func mask(
        _ unit: WriteTarget, _ start: UInt16, and: UInt16, or: UInt16, _ request: [UInt8], _ context: OpaquePointer
    ) -> Outcome {
        let span = RegisterSpan(table: .holding, start: start, registerCount: 1)
        switch unit.unit.read(span) {
        case .failure(let code): return reply(exception: code.rawValue, to: request, context)
        case .success(let words):
            return write(unit, [words[0] & and | or & ~and], start, .holding, request, context)
        }
    }

    private func write(
        _ unit: WriteTarget, _ words: [UInt16], _ start: UInt16, _ table: RegisterTable, _ request: [UInt8],
        _ context: OpaquePointer
    ) -> Outcome {
        if let code = unit.write(words, start, table) {
            return reply(exception: code.rawValue, to: request, context)
        }
        if unit.fault == .muteWrites { return .silent }
        return reply(
            from: RegisterSpan(table: table, start: start, registerCount: words.count), words, to: request, context)
    }

    /// Builds a mapping that holds just what the request touches and lets libmodbus answer from it.
    private func reply(
        from span: RegisterSpan, _ words: [UInt16], to request: [UInt8], _ context: OpaquePointer
    ) -> Outcome {
        let start = UInt32(span.start)
        let count = UInt32(span.registerCount)
        func size(_ table: RegisterTable) -> UInt32 { span.table == table ? count : 0 }
        guard
            let mapping = modbus_mapping_new_start_address(
                start, size(.coil), start, size(.discrete), start, size(.holding), start, size(.input))
        else { return .silent }
        defer { modbus_mapping_free(mapping) }
        for (index, word) in words.enumerated() {
            switch span.table {
            case .coil: mapping.pointee.tab_bits[index] = UInt8(word & 1)
            case .discrete: mapping.pointee.tab_input_bits[index] = UInt8(word & 1)
            case .holding: mapping.pointee.tab_registers[index] = word
            case .input: mapping.pointee.tab_input_registers[index] = word
            }
        }
        return modbus_reply(context, request, Int32(request.count), mapping) < 0 ? .dropped : .answered
    }

    /// Read Device Identification, basic stream (Modbus Application Protocol V1.1b3, 6.21): all in one part. libmodbus does
    /// not know it, so the frame is ours.
    private func identification(
        of unit: SimulatedUnit, _ pdu: [UInt8], _ request: [UInt8], _ context: OpaquePointer
    ) -> Outcome {
        guard pdu.count >= 4, pdu[1] == 0x0E, pdu[2] == 1 else { return reply(exception: 3, to: request, context) }
        let objects = unit.objects.sorted { $0.key < $1.key }.filter { $0.key >= pdu[3] }
        var reply: [UInt8] = [0x2B, 0x0E, 1, 1, 0, 0, UInt8(objects.count)]
        for (id, text) in objects { reply += [id, UInt8(text.utf8.count)] + text.utf8 }
        return send(reply, to: request, context)
    }

    private func send(_ pdu: [UInt8], to request: [UInt8], _ context: OpaquePointer) -> Outcome {
        let isTCP = modbus_get_header_length(context) > 1
        var frame = [request[Int(modbus_get_header_length(context)) - 1]] + pdu
        if isTCP {
            frame = request[..<4] + [UInt8(frame.count >> 8), UInt8(frame.count & 0xFF)] + frame
        } else {
            let crc = RTURequestFrame.crc(frame)
            frame += [UInt8(crc & 0xFF), UInt8(crc >> 8)]
        }
        let file = modbus_get_socket(context)
        // A master that has gone away is no reason for SIGPIPE; a line is no socket.
        let sent =
            isTCP
            ? Glibc.send(file, frame, frame.count, Int32(MSG_NOSIGNAL)) : Glibc.write(file, frame, frame.count)
        return sent == frame.count ? .answered : .dropped
    }

    private func reply(exception code: UInt8, to request: [UInt8], _ context: OpaquePointer) -> Outcome {
        modbus_reply_exception(context, request, UInt32(code)) < 0 ? .dropped : .answered
    }
}

/// A unit, and what is wrong with it when it is written to.
struct WriteTarget {
    let unit: SimulatedUnit
    let fault: Fault?

    func write(_ words: [UInt16], _ start: UInt16, _ table: RegisterTable) -> ModbusException? {
        unit.write(words, to: start, in: table, isDeaf: fault == .deafWrites, clamps: fault == .clamp)
    }
}
