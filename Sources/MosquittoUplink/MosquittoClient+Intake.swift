import CMosquitto
package import Engine
import Foundation
import Model

/// Receiving. libmosquitto queues the acknowledgement of a message before it hands the message over; in threaded mode
/// nothing that is queued leaves but by `mosquitto_loop_write`, which this thread calls only when all is settled.
extension MosquittoClient {
    /// Why a session is over.
    struct End {
        /// The library's code.
        var code: Int32
        /// What this side knows better than the library.
        var reason: String?
        /// Whether it is this side that ends it, in order.
        var isOurs = false
    }

    /// Longest wait while nothing happens: the library looks after its keepalive by the second.
    private static let longestWait: Int32 = 500

    /// One turn of the network thread: reads up to a window of messages, has them settled, writes.
    ///
    /// - Returns: why the session is over; nil while it goes on.
    func turn(_ line: BrokerLine, isStopping: () -> Bool) -> End? {
        if isConnected, let inlet { renewSubscriptions(inlet) }
        let isIdle = line.isBlocked || !mosquitto_want_write(pointer)
        if line.wait(wake: bell.reader, atMost: isIdle ? Self.longestWait : 0) { bell.answer() }
        let lost = line.receive()
        if let end = read(line) { return end }
        if let inlet {
            let settlement = inlet.waitUntilSettled(isLost: { line.hasHungUp }, isStopping: isStopping)
            if let reason = reasonToEnd(settlement, inlet) {
                // Nothing that is queued may leave: an acknowledgement among it would be a lie.
                return End(code: MOSQ_ERR_CONN_LOST.rawValue, reason: reason, isOurs: true)
            }
        }
        if let lost { return End(code: MOSQ_ERR_CONN_LOST.rawValue, reason: lost) }
        return write(line)
    }

    /// Has the library read what came, as far as messages may be unsettled.
    private func read(_ line: BrokerLine) -> End? {
        let received = line.received
        while true {
            let room = inlet.map { $0.settings.window - $0.unsettledCount } ?? .max
            guard room > 0 else { return nil }
            do throws(FrameFault) {
                let (counts, isAny) = try line.deliver(messages: room)
                inlet?.expect(counts)
                guard isAny else { break }
            } catch {
                return End(code: MOSQ_ERR_PROTOCOL.rawValue, reason: error.reason)
            }
            while hasInput {
                let code = mosquitto_loop_read(pointer, 1)
                guard code == MOSQ_ERR_SUCCESS.rawValue else { return End(code: code) }
            }
        }
        if line.received != received { inlet?.noteHeard() }
        return nil
    }

    private var hasInput: Bool {
        var polled = pollfd(fd: mosquitto_socket(pointer), events: Int16(POLLIN), revents: 0)
        return polled.fd >= 0 && poll(&polled, 1, 0) > 0
    }

    private func write(_ line: BrokerLine) -> End? {
        var isEmpty = true
        repeat {
            if mosquitto_want_write(pointer) {
                let code = mosquitto_loop_write(pointer, 1)
                if code != MOSQ_ERR_SUCCESS.rawValue, code != MOSQ_ERR_NO_CONN.rawValue { return End(code: code) }
            }
            let (lost, isTaken) = line.forward()
            if let lost { return End(code: MOSQ_ERR_CONN_LOST.rawValue, reason: lost) }
            isEmpty = isTaken
        } while isEmpty && mosquitto_want_write(pointer)
        let code = mosquitto_loop_misc(pointer)
        return code == MOSQ_ERR_SUCCESS.rawValue ? nil : End(code: code)
    }

    private func reasonToEnd(_ settlement: Inlet.Settlement, _ inlet: Inlet) -> String? {
        switch settlement {
        case .settled: nil
        case .givenBack: "a message was given back to the broker"
        case .overdue: "a message was not dealt with for \(inlet.settings.holdTime); the broker keeps it"
        case .lost: "the broker closed the connection"
        case .stopped: "closed"
        }
    }

    private func renewSubscriptions(_ inlet: Inlet) {
        let (new, old) = inlet.takeSubscriptions()
        // Retained messages are told as such even when they are new, and come once, not at every reconnect.
        let options =
            isVersion5 ? Int32(MQTT_SUB_OPT_RETAIN_AS_PUBLISHED.rawValue | MQTT_SUB_OPT_SEND_RETAIN_NEW.rawValue) : 0
        for filter in new {
            var messageID: Int32 = 0
            if mosquitto_subscribe_v5(pointer, &messageID, filter, 1, options, nil) == MOSQ_ERR_SUCCESS.rawValue {
                inlet.asked(filter, messageID: messageID)
            }
        }
        for filter in old { mosquitto_unsubscribe_v5(pointer, nil, filter, nil) }
    }

    func installIntakeCallbacks() {
        mosquitto_message_v5_callback_set(pointer) { _, owner, message, properties in
            guard let message, let client = MosquittoClient.owner(owner) else { return }
            client.inlet?.received { client.inbound(message.pointee, properties, receipt: $0) }
        }
        mosquitto_subscribe_v5_callback_set(pointer) { _, owner, messageID, count, granted, _ in
            guard let granted, count > 0 else { return }
            MosquittoClient.owner(owner)?.inlet?.answered(messageID: messageID, isGranted: granted[0] < 0x80)
        }
    }

    private func inbound(
        _ message: mosquitto_message, _ properties: OpaquePointer?, receipt: Receipt
    ) -> InboundMessage {
        let byteCount = inlet?.takePayloadByteCount() ?? Int(message.payloadlen)
        let passed = Array(UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen)))
        let isTaken = byteCount <= inlet?.settings.largestPayload ?? 0
        var inbound = InboundMessage(
            topic: message.topic.map { String(cString: $0) } ?? "",
            payload: isTaken ? passed : [],
            payloadByteCount: byteCount, qos: Int(message.qos), isRetained: message.retain, receipt: receipt)
        guard let properties else { return inbound }
        inbound.responseTopic = text(properties, MQTT_PROP_RESPONSE_TOPIC)
        inbound.correlationData = bytes(properties, MQTT_PROP_CORRELATION_DATA)
        var seconds: UInt32 = 0
        if mosquitto_property_read_int32(
            properties, Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue), &seconds, false) != nil
        {
            inbound.expiry = .seconds(Int64(seconds))
        }
        return inbound
    }

    private func text(_ properties: OpaquePointer, _ name: mqtt5_property) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard mosquitto_property_read_string(properties, Int32(name.rawValue), &text, false) != nil, let text else {
            return nil
        }
        defer { free(text) }
        return String(cString: text)
    }

    private func bytes(_ properties: OpaquePointer, _ name: mqtt5_property) -> [UInt8]? {
        var data: UnsafeMutableRawPointer?
        var count: UInt16 = 0
        guard mosquitto_property_read_binary(properties, Int32(name.rawValue), &data, &count, false) != nil else {
            return nil
        }
        defer { free(data) }
        return Array(UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(count)))
    }
}

extension MosquittoUplink: Intake {
    package func subscribe(_ filters: [String]) {
        client.inlet?.subscribe(filters)
    }

    package func nextMessages() async -> [InboundMessage]? {
        await client.inlet?.inbox.take()
    }

    package func acknowledge(_ receipt: Receipt) {
        client.inlet?.acknowledge(receipt)
    }

    package func giveBack(_ receipt: Receipt) {
        client.inlet?.giveBack(receipt)
    }

    package var intakeFigures: IntakeFigures { client.inlet?.figures ?? IntakeFigures() }
}
