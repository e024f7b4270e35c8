import CMosquitto
package import Engine
import Foundation
import Model

/// Receiving. libmosquitto queues the acknowledgement of a message before it hands the message over; in threaded mode
/// nothing that is queued leaves but by `mosquitto_loop_write`, which this thread calls only when all is settled.
extension MosquittoClient {
    /// One turn of the network thread: reads up to a window of messages, has them settled, writes.
    ///
    /// - Returns: the library's code, and why the session is to be ended where it is not for the library to say.
    func turn(_ inlet: Inlet, isStopping: () -> Bool) -> (code: Int32, reason: String?) {
        if isConnected { renewSubscriptions(inlet) }
        guard wait(for: inlet) else { return (MOSQ_ERR_NO_CONN.rawValue, nil) }
        let code = readWindow(inlet)
        // With the session gone there is nothing to hold back: what it delivered is delivered again.
        guard code == MOSQ_ERR_SUCCESS.rawValue else { return (code, nil) }
        let settlement = inlet.waitUntilSettled(isLost: { hasHungUp }, isStopping: isStopping)
        if let reason = reasonToEnd(settlement, inlet) {
            // Nothing that is queued may leave: an acknowledgement among it would be a lie.
            shutdown(mosquitto_socket(pointer), Int32(SHUT_RDWR))
            mosquitto_loop_write(pointer, 1)
            return (MOSQ_ERR_CONN_LOST.rawValue, reason)
        }
        if mosquitto_want_write(pointer) {
            let code = mosquitto_loop_write(pointer, 1)
            guard code == MOSQ_ERR_SUCCESS.rawValue else { return (code, nil) }
        }
        return (mosquitto_loop_misc(pointer), nil)
    }

    /// Waits a moment for anything to do; `poll`, because the library's own `select` ends at descriptor 1023.
    private func wait(for inlet: Inlet) -> Bool {
        let socket = mosquitto_socket(pointer)
        guard socket >= 0 else { return false }
        let events = Int16(POLLIN) | (mosquitto_want_write(pointer) ? Int16(POLLOUT) : 0)
        var polled = [
            pollfd(fd: socket, events: events, revents: 0),
            pollfd(fd: inlet.wakeReader, events: Int16(POLLIN), revents: 0),
        ]
        poll(&polled, 2, 100)
        if polled[1].revents != 0 { inlet.drainWakes() }
        return true
    }

    private func readWindow(_ inlet: Inlet) -> Int32 {
        var code = MOSQ_ERR_SUCCESS.rawValue
        while code == MOSQ_ERR_SUCCESS.rawValue, inlet.unsettledCount < inlet.settings.window {
            var polled = pollfd(fd: mosquitto_socket(pointer), events: Int16(POLLIN), revents: 0)
            guard polled.fd >= 0, poll(&polled, 1, 0) > 0 else { break }
            code = mosquitto_loop_read(pointer, 1)
            if code == MOSQ_ERR_SUCCESS.rawValue { inlet.noteHeard() }
        }
        return code
    }

    /// Whether the other side has closed the connection.
    private var hasHungUp: Bool {
        var polled = pollfd(fd: mosquitto_socket(pointer), events: Self.peerClosed, revents: 0)
        return poll(&polled, 1, 0) > 0 && polled.revents & (Self.peerClosed | Int16(POLLHUP) | Int16(POLLERR)) != 0
    }

    /// POLLRDHUP, which is hidden behind a macro of GNU's.
    private static let peerClosed: Int16 = 0x2000

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
        let byteCount = Int(message.payloadlen)
        let isTaken = byteCount <= inlet?.settings.largestPayload ?? 0
        var inbound = InboundMessage(
            topic: message.topic.map { String(cString: $0) } ?? "",
            payload: isTaken ? Array(UnsafeRawBufferPointer(start: message.payload, count: byteCount)) : [],
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
