// Runs inside a session: evaluates Java for the runtime and keeps the state.
//
// Requests come from /dev/fd/4: a line "number size", then as many bytes of code. Replies are JSON lines to /dev/fd/3.
// Snippets are evaluated within this process, by the engine of jshell. SIGINT stops them.

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.ExpressionSnippet;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import jdk.jshell.UnresolvedReferenceException;

class Driver {
    static final int MOST = 4_000_000; // characters of one value
    static final String[] PACKAGES = {
        "java.io", "java.math", "java.net", "java.nio.file", "java.util", "java.util.concurrent",
        "java.util.function", "java.util.regex", "java.util.stream",
    };

    // What came of one piece of code.
    static class Outcome {
        String text;
        int discarded; // characters of the text that were left out
        String name;
        String value = "";
        String traceback = "";

        void fail(String name, String value, String traceback) {
            this.name = name;
            this.value = value == null ? "" : value;
            this.traceback = traceback;
        }
    }

    static JShell shell;
    static volatile boolean interrupted;

    public static void main(String[] args) throws Exception {
        Locale.setDefault(Locale.ROOT);
        InputStream requests = new BufferedInputStream(new FileInputStream("/dev/fd/4"), 1 << 16);
        OutputStream replies = new FileOutputStream("/dev/fd/3");
        System.setOut(printer(FileDescriptor.out));
        System.setErr(printer(FileDescriptor.err));
        System.setIn(new ByteArrayInputStream(new byte[0]));
        shell = JShell.builder().executionEngine("local").build();
        for (String name : PACKAGES) shell.eval("import " + name + ".*;");
        sun.misc.Signal.handle(new sun.misc.Signal("INT"), signal -> {
            interrupted = true;
            shell.stop();
        });
        send(replies, "{\"ready\": true}");
        int count = 0;
        for (String header; (header = line(requests)) != null;) {
            String[] parts = header.split(" ");
            String code = new String(requests.readNBytes(Integer.parseInt(parts[1])), StandardCharsets.UTF_8);
            interrupted = false;
            send(replies, "{\"id\": " + parts[0] + ", \"begun\": true}");
            Outcome outcome = evaluate(code);
            System.out.flush();
            System.err.flush();
            send(replies, reply(parts[0], ++count, outcome));
        }
        System.exit(0);
    }

    static PrintStream printer(FileDescriptor descriptor) {
        return new PrintStream(new java.io.BufferedOutputStream(new FileOutputStream(descriptor), 8192), true, StandardCharsets.UTF_8);
    }

    static String line(InputStream stream) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int next; (next = stream.read()) != '\n';) {
            if (next < 0) return null;
            line.append((char) next);
        }
        return line.toString();
    }

    static Outcome evaluate(String code) {
        Outcome outcome = new Outcome();
        SourceCodeAnalysis analysis = shell.sourceCodeAnalysis();
        String rest = code;
        while (!rest.isBlank() && outcome.name == null) {
            CompletionInfo part = analysis.analyzeCompletion(rest);
            switch (part.completeness()) {
                case EMPTY:
                    return outcome;
                case DEFINITELY_INCOMPLETE:
                    outcome.fail("SyntaxError", "the code ends too early: " + firstLine(rest), "");
                    return outcome;
                case UNKNOWN: // evaluated for what the compiler says about it
                    run(rest, outcome);
                    return outcome;
                default:
                    run(part.source(), outcome);
                    rest = part.remaining();
            }
            if (interrupted && outcome.name == null) {
                outcome.fail("Interrupted", "the code was interrupted", "");
            }
        }
        return outcome;
    }

    static void run(String source, Outcome outcome) {
        outcome.text = null;
        for (SnippetEvent event : shell.eval(source)) {
            Snippet snippet = event.snippet();
            if (event.causeSnippet() != null) continue; // of something it has changed
            if (event.status() == Snippet.Status.REJECTED) {
                reject(snippet, outcome);
            } else if (event.exception() != null) {
                describe(event.exception(), outcome);
            } else if (isExpression(snippet) && event.value() != null && !isVoid(snippet)) {
                outcome.text = cut(event.value());
                outcome.discarded = event.value().length() - outcome.text.length();
            }
        }
    }

    static boolean isExpression(Snippet snippet) {
        switch (snippet.subKind()) {
            case TEMP_VAR_EXPRESSION_SUBKIND:
            case VAR_VALUE_SUBKIND:
            case OTHER_EXPRESSION_SUBKIND:
                return true;
            default:
                return false;
        }
    }

    static boolean isVoid(Snippet snippet) {
        return snippet instanceof ExpressionSnippet && "void".equals(((ExpressionSnippet) snippet).typeName());
    }

    static void reject(Snippet snippet, Outcome outcome) {
        StringBuilder value = new StringBuilder();
        StringBuilder shown = new StringBuilder();
        String source = snippet.source();
        for (Diag diag : shell.diagnostics(snippet).toArray(Diag[]::new)) {
            if (!diag.isError()) continue;
            String message = diag.getMessage(Locale.ROOT).strip();
            value.append(value.length() > 0 ? "; " : "").append(inOneLine(message));
            int at = (int) Math.max(0, Math.min(diag.getPosition(), source.length()));
            int begin = source.lastIndexOf('\n', at - 1) + 1;
            int end = source.indexOf('\n', at) < 0 ? source.length() : source.indexOf('\n', at);
            shown.append(source, begin, end).append('\n').append(" ".repeat(at - begin)).append("^\n").append(message).append('\n');
        }
        outcome.fail("CompileError", value.toString(), shown.toString());
    }

    static void describe(JShellException thrown, Outcome outcome) {
        if (thrown instanceof UnresolvedReferenceException) {
            Snippet snippet = ((UnresolvedReferenceException) thrown).getSnippet();
            outcome.fail("UnresolvedReference", "it uses what is not defined: " + firstLine(snippet.source()), "");
            return;
        }
        StringBuilder shown = new StringBuilder();
        for (Throwable at = thrown; at instanceof EvalException; at = at.getCause()) {
            EvalException exception = (EvalException) at;
            shown.append(at == thrown ? "" : "Caused by: ").append(exception.getExceptionClassName());
            shown.append(at.getMessage() == null ? "" : ": " + at.getMessage()).append('\n');
            for (StackTraceElement frame : at.getStackTrace()) shown.append("\tat ").append(frame).append('\n');
        }
        String name = ((EvalException) thrown).getExceptionClassName();
        if (interrupted && name.equals("java.lang.ThreadDeath")) outcome.fail("Interrupted", "the code was interrupted", "");
        else outcome.fail(name, thrown.getMessage(), cut(shown.toString()));
    }

    static String firstLine(String text) {
        String line = text.strip().lines().findFirst().orElse("");
        return line.length() <= 200 ? line : line.substring(0, 200) + "...";
    }

    static String inOneLine(String message) {
        // Its second line names the symbol that cannot be found; where it was looked for says nothing here.
        return message.lines().map(line -> line.strip().replaceAll("\\s+", " "))
            .filter(line -> !line.startsWith("location:")).collect(java.util.stream.Collectors.joining(", "));
    }

    static String cut(String text) {
        return text.length() <= MOST ? text : text.substring(0, MOST);
    }

    // --- replies ---

    static String reply(String id, int count, Outcome outcome) {
        StringBuilder json = new StringBuilder("{\"id\": ").append(id).append(", \"count\": ").append(count);
        if (outcome.name != null) {
            json.append(", \"error\": {\"name\": ").append(quoted(outcome.name));
            json.append(", \"value\": ").append(quoted(outcome.value));
            json.append(", \"traceback\": ").append(quoted(outcome.traceback)).append('}');
        } else if (outcome.text != null) {
            json.append(", \"text\": ").append(quoted(outcome.text)).append(", \"discarded\": ").append(outcome.discarded);
        }
        return json.append('}').toString();
    }

    static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') json.append('\\').append(c);
            else if (c < ' ' || c > '~') json.append(String.format("\\u%04x", (int) c));
            else json.append(c);
        }
        return json.append('"').toString();
    }

    static void send(OutputStream replies, String json) throws IOException {
        replies.write((json + "\n").getBytes(StandardCharsets.US_ASCII));
        replies.flush();
    }
}
