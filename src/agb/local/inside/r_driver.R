# Runs inside a session: evaluates R for the runtime and keeps the state.
#
# Requests come from /dev/fd/4: a line "number size", then as many bytes of code. Replies are JSON lines to /dev/fd/3.
# SIGINT stops what runs, and so does quit(), which leaves the process and its variables. Everything of this file is in a
# scope of its own; the code has the global environment.

local({
  most <- 4000000L # characters of one value
  requests <- file("/dev/fd/4", "rb", raw = TRUE)
  replies <- file("/dev/fd/3", "wb", raw = TRUE)
  plots <- tempfile("plots")
  dir.create(plots)
  options(device = function(...) {
    grDevices::png(file.path(plots, "plot%04d.png"), width = 1000, height = 750, res = 120,
                   type = if (capabilities("cairo")) "cairo" else getOption("bitmapType"))
    grDevices::dev.control("enable")
  })

  quoted <- function(text) {
    text <- iconv(enc2utf8(as.character(text)), "UTF-8", "UTF-8", sub = "byte")
    text <- gsub("\\", "\\\\", text, fixed = TRUE)
    text <- gsub("\"", "\\\"", text, fixed = TRUE)
    text <- gsub("\n", "\\n", text, fixed = TRUE)
    for (code in c(1:9, 11:31, 127)) {
      character <- intToUtf8(code)
      if (grepl(character, text, fixed = TRUE)) {
        text <- gsub(character, sprintf("\\u%04x", code), text, fixed = TRUE)
      }
    }
    paste0("\"", text, "\"")
  }

  cut <- function(text) {
    size <- nchar(text, type = "chars", allowNA = TRUE)
    if (is.na(size) || size <= most) return(text)
    substr(text, 1, most)
  }

  send <- function(...) {
    writeBin(charToRaw(paste0("{", paste0(..., collapse = ""), "}\n")), replies)
    flush(replies)
  }

  base64 <- function(bytes) {
    alphabet <- c(LETTERS, letters, 0:9, "+", "/")
    missing <- (3L - length(bytes) %% 3L) %% 3L
    three <- matrix(c(as.integer(bytes), integer(missing)), nrow = 3L)
    four <- rbind(three[1, ] %/% 4L,
                  three[1, ] %% 4L * 16L + three[2, ] %/% 16L,
                  three[2, ] %% 16L * 4L + three[3, ] %/% 64L,
                  three[3, ] %% 64L)
    text <- alphabet[as.vector(four) + 1L]
    if (missing > 0L) text[length(text) - seq_len(missing) + 1L] <- "="
    paste(text, collapse = "")
  }

  send_plots <- function(id) {
    while (grDevices::dev.cur() > 1L) grDevices::dev.off()
    for (name in sort(list.files(plots, full.names = TRUE))) {
      size <- file.info(name)$size
      if (!is.na(size) && size > 0) {
        send("\"id\": ", id, ", \"item\": {\"image/png\": \"", base64(readBin(name, "raw", size)),
             "\", \"text/plain\": \"<plot>\"}")
      }
      unlink(name)
    }
  }

  shown <- function(value) {
    text <- utils::capture.output(if (isS4(value)) methods::show(value) else print(value))
    whole <- paste(text, collapse = "\n")
    kept <- cut(whole)
    left_out <<- left_out + nchar(whole, allowNA = TRUE) - nchar(kept, allowNA = TRUE)
    kept
  }

  run_part <- function(part) withVisible(eval(part, globalenv()))

  is_call_of <- function(call, names) is.name(call[[1L]]) && as.character(call[[1L]]) %in% names

  # The code's own calls: what is above them belongs to this file, what is below to the way errors are signalled.
  own_calls <- function(calls) {
    begin <- which(vapply(calls, is_call_of, TRUE, "run_part"))
    if (length(begin) == 0L) return(list())
    calls <- calls[-seq_len(min(length(calls), max(begin) + 3L))] # withVisible, eval, eval
    ends <- which(vapply(calls, is_call_of, TRUE, c(".handleSimpleError", "h", "signalCondition", "withRestarts")))
    if (length(ends) > 0L) calls[seq_len(min(ends) - 1L)] else calls
  }

  brief <- function(call) deparse(call, nlines = 1L)[[1L]]

  describe <- function(error, calls) {
    name <- class(error)[[1L]]
    if (name %in% c("simpleError", "error")) name <- "Error"
    call <- conditionCall(error)
    where <- if (is.null(call) || is_call_of(call, "eval")) "" else paste0(" in ", brief(call))
    lines <- c(paste0("Error", where, ": ", conditionMessage(error)), vapply(calls, brief, ""))
    list(name = name, value = conditionMessage(error), traceback = paste(lines, collapse = "\n"))
  }

  # Ends the code. A restart is not a condition, so no handler of the code can catch it. R hides it in finalizers and task
  # callbacks; there R itself ends, since it cannot leave only them.
  exit <- function(save = "default", status = 0, runLast = TRUE) {
    if (!(save %in% c("no", "yes", "ask", "default"))) stop("unrecognized value of 'save'")
    code <- as.integer(status)
    if (is.na(code)) stop("invalid 'status'")
    restart <- findRestart("agb_exit")
    if (is.null(restart)) .Internal(quit("no", code, runLast))
    calls <- vapply(own_calls(sys.calls()), brief, "")
    invokeRestart(restart, list(name = "SystemExit", value = as.character(code), traceback = paste(calls, collapse = "\n")))
  }
  for (name in c("q", "quit")) {
    unlockBinding(name, baseenv())
    assign(name, exit, baseenv())
    lockBinding(name, baseenv())
  }

  left_out <- 0 # characters of the results of the code that runs

  evaluate <- function(id, code) {
    on.exit(while (sink.number() > 0L) sink())
    left_out <<- 0
    text <- NULL
    failed <- NULL
    tryCatch(
      {
        send("\"id\": ", id, ", \"begun\": true") # from here on an interrupt is handled below
        parts <- tryCatch(parse(text = code, keep.source = FALSE, encoding = "UTF-8"), error = function(error) {
          failed <<- list(name = "SyntaxError", value = conditionMessage(error), traceback = "")
        })
        withCallingHandlers(
          for (number in if (is.null(failed)) seq_along(parts)) {
            text <- NULL
            got <- run_part(parts[[number]])
            if (got$visible) {
              text <- shown(got$value)
              if (number < length(parts)) send("\"id\": ", id, ", \"item\": {\"text/plain\": ", quoted(text), "}")
            }
          },
          warning = function(warning) {
            call <- conditionCall(warning)
            where <- if (is.null(call) || is_call_of(call, "eval")) "" else paste0(" in ", brief(call))
            cat("Warning", where, ": ", conditionMessage(warning), "\n", sep = "", file = stderr())
            tryInvokeRestart("muffleWarning")
          },
          error = function(error) failed <<- describe(error, own_calls(sys.calls()))
        )
      },
      error = function(error) if (is.null(failed)) failed <<- describe(error, list()),
      interrupt = function(...) {
        failed <<- list(name = "Interrupted", value = "the code was interrupted", traceback = "")
      }
    )
    list(text = if (is.null(failed)) text, error = failed)
  }

  serve <- function() {
    count <- 0L
    repeat {
      header <- readLines(requests, 1L)
      if (length(header) == 0L) return(invisible())
      header <- strsplit(header, " ", fixed = TRUE)[[1L]]
      size <- as.integer(header[[2L]])
      bytes <- raw(0)
      while (length(bytes) < size) bytes <- c(bytes, readBin(requests, "raw", size - length(bytes)))
      code <- rawToChar(bytes)
      Encoding(code) <- "UTF-8"
      result <- withRestarts(
        evaluate(header[[1L]], code),
        agb_exit = function(exit) list(error = if (exit$value != "0") exit)
      )
      tryCatch(send_plots(header[[1L]]), error = function(error) {
        cat("The plots cannot be shown: ", conditionMessage(error), "\n", sep = "", file = stderr())
      }, interrupt = function(...) NULL)
      count <- count + 1L
      error <- result$error
      send("\"id\": ", header[[1L]], ", \"count\": ", count,
           if (!is.null(error)) paste0(", \"error\": {\"name\": ", quoted(error$name), ", \"value\": ",
                                       quoted(cut(error$value)), ", \"traceback\": ", quoted(cut(error$traceback)), "}"),
           if (!is.null(result$text)) paste0(", \"text\": ", quoted(result$text)),
           if (isTRUE(left_out > 0)) paste0(", \"discarded\": ", format(left_out, scientific = FALSE)))
    }
  }

  send("\"ready\": true")
  serve()
})
