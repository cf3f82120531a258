// Search in pages that were opened from the file system, where browsers start no worker: it runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inner = frame.contentWindow
      this.inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      this.inner.importScripts = (...urls) => Promise.all(urls.map((one) => this.load(one)))
      this.load(url).then(() => {
        this.waiting.forEach((data) => this.deliver(data))
        this.waiting = null
      })
    }

    load(url) {
      return new Promise((resolve, reject) => {
        const script = this.inner.document.createElement("script")
        script.src = new URL(url, location.href).href
        script.onload = resolve
        script.onerror = reject
        this.inner.document.body.appendChild(script)
      })
    }

    deliver(data) {
      const event = new this.inner.MessageEvent("message", { data })
      this.inner.dispatchEvent(event)
      if (this.inner.onmessage) this.inner.onmessage(event)
    }

    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.deliver(data)
    }

    terminate() {}
  }
}
