// Runs inside a session: evaluates Java for the runtime and keeps the state.
//
// Requests come from /dev/fd/4: a line "number size", then as many bytes of code. Replies are JSON lines to /dev/fd/3.
// Snippets are evaluated within this process, by the engine of jshell. SIGINT stops them, and so does System.exit(), which
// leaves the process and its variables.

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
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
import jdk.jshell.execution.LoaderDelegate;
import jdk.jshell.execution.LocalExecutionControl;
import jdk.jshell.spi.ExecutionControl;
import jdk.jshell.spi.ExecutionControl.ClassBytecodes;
import jdk.jshell.spi.ExecutionControl.ClassInstallException;
import jdk.jshell.spi.ExecutionControl.InternalException;
import jdk.jshell.spi.ExecutionControlProvider;
import jdk.jshell.spi.ExecutionEnv;

public class Driver {
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
    static final ExecutorService stopper = Executors.newSingleThreadExecutor(); // stopping ends the threads of the code's group
    static final Object exiting = new Object(); // guards the next two
    static boolean running;
    static Exit exit; // the first of the code that runs

    public static void main(String[] args) throws Exception {
        Locale.setDefault(Locale.ROOT);
        InputStream requests = new BufferedInputStream(new FileInputStream("/dev/fd/4"), 1 << 16);
        OutputStream replies = new FileOutputStream("/dev/fd/3");
        System.setOut(printer(FileDescriptor.out));
        System.setErr(printer(FileDescriptor.err));
        System.setIn(new ByteArrayInputStream(new byte[0]));
        shell = JShell.builder().executionEngine(new Engine(), null).build();
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
            synchronized (exiting) {
                running = true;
            }
            Outcome outcome = evaluate(code);
            synchronized (exiting) {
                if (exit != null) exit.describe(outcome);
                running = false;
                exit = null;
            }
            System.out.flush();
            System.err.flush();
            send(replies, reply(parts[0], ++count, outcome));
        }
        System.exit(0);
    }

    static PrintStream printer(FileDescriptor descriptor) {
        return new PrintStream(new java.io.BufferedOutputStream(new FileOutputStream(descriptor), 8192), true, StandardCharsets.UTF_8);
    }

    // --- exit ---

    // Ends the code in the thread that has called System.exit.
    static class Exit extends Error {
        final int status;

        Exit(int status) {
            super("System.exit(" + status + ")", null, false, true);
            this.status = status;
        }

        // Whatever the code has done with this exception, its exit is the outcome.
        void describe(Outcome outcome) {
            outcome.text = outcome.name = null;
            if (status == 0) return;
            StringBuilder shown = new StringBuilder(getMessage()).append('\n');
            for (StackTraceElement frame : getStackTrace()) {
                if (frame.getClassName().startsWith("REPL.")) shown.append("\tat ").append(frame).append('\n');
            }
            outcome.fail("SystemExit", String.valueOf(status), cut(shown.toString()));
        }
    }

    // Is called by the code instead of System.exit.
    public static void exit(int status) {
        Exit own = new Exit(status);
        boolean isMain = false;
        for (StackTraceElement frame : own.getStackTrace()) isMain |= frame.getClassName().startsWith("jdk.jshell.");
        synchronized (exiting) {
            if (!running) {
                System.err.println(own.getMessage() + " was called while no code ran; it has ended the thread only");
            } else if (exit == null) {
                exit = own;
                if (!isMain) stopper.execute(() -> stop(own));
            }
        }
        throw own;
    }

    // Stops the code; a thread that is about to sleep does not always notice.
    static void stop(Exit own) {
        try {
            for (;; Thread.sleep(20)) {
                synchronized (exiting) {
                    if (exit != own) return;
                }
                shell.stop();
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    static class Engine implements ExecutionControlProvider {
        public String name() {
            return "session";
        }

        public ExecutionControl generate(ExecutionEnv env, Map<String, String> parameters) {
            return new LocalExecutionControl((LoaderDelegate) new Loader());
        }
    }

    // Loads the classes of the code, in which System.exit is replaced by the method above.
    static class Loader extends URLClassLoader implements LoaderDelegate {
        private final Map<String, byte[]> code = new HashMap<>();

        Loader() {
            super(new URL[0], Driver.class.getClassLoader());
            Thread.currentThread().setContextClassLoader(this);
        }

        public void load(ClassBytecodes[] classes) throws ClassInstallException {
            for (ClassBytecodes loaded : classes) code.put(loaded.name(), replaceExit(loaded.bytecodes()));
            boolean[] installed = new boolean[classes.length];
            try {
                for (int number = 0; number < classes.length; number++) {
                    loadClass(classes[number].name()).getDeclaredMethods(); // finds missing classes now
                    installed[number] = true;
                }
            } catch (ClassNotFoundException | LinkageError error) {
                throw new ClassInstallException(String.valueOf(error), installed);
            }
        }

        public void classesRedefined(ClassBytecodes[] classes) {}

        public void addToClasspath(String path) throws InternalException {
            try {
                for (String entry : path.split(File.pathSeparator)) addURL(new File(entry).toURI().toURL());
            } catch (MalformedURLException error) {
                throw new InternalException(error.toString());
            }
        }

        @Override
        public Class<?> findClass(String name) throws ClassNotFoundException {
            Class<?> loaded = findLoadedClass(name);
            if (loaded != null) return loaded;
            byte[] bytes = code.get(name);
            return bytes == null ? super.findClass(name) : defineClass(name, bytes, 0, bytes.length);
        }
    }

    // A call names its class and method in the table of constants, so it is enough to change the class there.
    static byte[] replaceExit(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        int count = in.getShort(8) & 0xFFFF;
        int[] at = new int[count];
        int end = 10;
        for (int number = 1; number < count; number++) {
            at[number] = end;
            int tag = bytes[end];
            if (tag == UTF8) end += 3 + (in.getShort(end + 1) & 0xFFFF);
            else if (tag == LONG || tag == DOUBLE) end += 9;
            else if (tag == METHOD_HANDLE) end += 4;
            else if (tag == CLASS || tag == STRING || tag == METHOD_TYPE || tag == MODULE || tag == PACKAGE) end += 3;
            else end += 5;
            if (tag == LONG || tag == DOUBLE) number++;
        }
        boolean found = false;
        for (int number = 1; number < count && count < 0xFFFE; number++) {
            if (at[number] == 0 || bytes[at[number]] != METHOD) continue;
            int name = at[in.getShort(at[number] + 3) & 0xFFFF];
            if (!text(in, at[in.getShort(at[number] + 1) & 0xFFFF], at).equals("java/lang/System")) continue;
            if (!text(in, name, at).equals("exit")) continue;
            in.putShort(at[number] + 1, (short) (count + 1));
            found = true;
        }
        if (!found) return bytes;
        byte[] own = Driver.class.getName().getBytes(StandardCharsets.US_ASCII);
        ByteBuffer out = ByteBuffer.allocate(bytes.length + 6 + own.length).put(bytes, 0, end);
        out.put((byte) UTF8).putShort((short) own.length).put(own).put((byte) CLASS).putShort((short) count);
        return out.put(bytes, end, bytes.length - end).putShort(8, (short) (count + 2)).array();
    }

    static final int UTF8 = 1, LONG = 5, DOUBLE = 6, CLASS = 7, STRING = 8, METHOD = 10;
    static final int METHOD_HANDLE = 15, METHOD_TYPE = 16, MODULE = 19, PACKAGE = 20;

    // The text of a constant that begins with the number of its name.
    static String text(ByteBuffer in, int constant, int[] at) {
        int name = at[in.getShort(constant + 1) & 0xFFFF];
        return new String(in.array(), name + 3, in.getShort(name + 1) & 0xFFFF, StandardCharsets.UTF_8);
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
            synchronized (exiting) {
                if (exit != null) return outcome;
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
