// A well-behaved client of the ViralSync API on java.net.http, with nothing but the JDK (17): `java Client.java`.
//
// VIRALSYNC_BASE_URL and VIRALSYNC_API_KEY say where; VIRALSYNC_TASK what: render (as poll), poll, stream, webhook, list,
// cancel. It ends with 0 when the video is there.

import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.Timer;
import java.util.TimerTask;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Everything that a render needs; a bad client differs by one method. */
public class Client {
  static final Set<String> TERMINAL = Set.of("done", "failed", "cancelled");
  static final int ATTEMPTS = 8;

  /** The API refused a call: trying again changes nothing. */
  @SuppressWarnings("serial")
  static class Refused extends RuntimeException {
    final int status;
    final String code;

    Refused(int status, String code) {
      super(status + " " + code);
      this.status = status;
      this.code = code;
    }
  }

  /** The response to a submission did not arrive: the job may exist. */
  @SuppressWarnings("serial")
  static class Lost extends RuntimeException {}

  final String baseUrl = variable("VIRALSYNC_BASE_URL", "https://api.viralsync.io");
  final String key = variable("VIRALSYNC_API_KEY", "");
  final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  final long silence = 1000 * Long.parseLong(variable("VIRALSYNC_SILENCE_SECONDS", "45")); // a keep-alive comes every 15 s
  long patience = 1000 * Long.parseLong(variable("VIRALSYNC_PATIENCE_SECONDS", "600"));

  static String variable(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }

  static void sleep(double seconds) {
    try {
      Thread.sleep((long) (1000 * seconds));
    } catch (InterruptedException problem) {
      throw new IllegalStateException(problem);
    }
  }

  /** Return a string or number of a JSON text by its key; a program of your own has a library for this. */
  static String value(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*(?:\"([^\"]*)\"|([^,}\\]\\s]+))").matcher(json);
    if (!found.find()) return null;
    return found.group(1) != null ? found.group(1) : "null".equals(found.group(2)) ? null : found.group(2);
  }

  // ---- calls

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(baseUrl + path)).header("x-api-key", key).timeout(Duration.ofSeconds(10));
  }

  /** Return a response that is fine: waits out 429, and tries again after failures of the server. */
  <T> HttpResponse<T> open(HttpRequest request, HttpResponse.BodyHandler<T> handler) {
    boolean isSubmission = request.uri().getPath().endsWith("/render/jobs");
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
      HttpResponse<T> response = null;
      try {
        response = http.send(request, handler);
      } catch (IOException problem) {
        if (isSubmission) throw new Lost();
      } catch (InterruptedException problem) {
        throw new IllegalStateException(problem);
      }
      if (response != null && response.statusCode() < 400) return response;
      if (response != null && response.statusCode() < 500 && response.statusCode() != 429) {
        throw new Refused(response.statusCode(), value(response.body().toString(), "code"));
      }
      String asked = response == null ? null : response.headers().firstValue("retry-after").orElse(null);
      sleep(asked != null ? Double.parseDouble(asked) : 0.25 * Math.pow(2, attempt));
    }
    throw new Refused(0, "GIVEN_UP");
  }

  /** Return the JSON of a response; one that breaks off, or is no JSON, counts as a failure of the server. */
  String call(HttpRequest request) {
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
      String text = open(request, BodyHandlers.ofString()).body().strip();
      if (text.startsWith("{") && text.endsWith("}")) return text;
      if (request.uri().getPath().endsWith("/render/jobs")) throw new Lost();
      sleep(0.25 * Math.pow(2, attempt));
    }
    throw new Refused(0, "NO_JSON");
  }

  String get(String path) {
    return call(request(path).build());
  }

  // ---- jobs

  /** Submit a movie and return the id of its job; a submission whose response is lost is looked for first. */
  String submit(String callbackUrl) {
    return submitTitled(title(), callbackUrl);
  }

  String title() {
    return "trial " + UUID.randomUUID();
  }

  String submitTitled(String title, String callbackUrl) {
    String callback = callbackUrl == null ? "" : ", \"callbackUrl\": \"" + callbackUrl + "\"";
    String body = "{\"kind\": \"movie\", \"projectId\": \"proj_trial\"" + callback
        + ", \"movie\": {\"title\": \"" + title + "\", \"scenes\": [{\"id\": \"only\", \"duration\": 1}]}}";
    HttpRequest request = request("/v1/render/jobs").header("content-type", "application/json")
        .POST(BodyPublishers.ofString(body)).build();
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        return value(call(request), "jobId");
      } catch (Lost problem) {
        for (String job : list()) {
          if (job.contains(title)) return value(job, "jobId");
        }
      } catch (Refused refused) {
        if (!mayRepeat(refused)) throw refused;
      }
      sleep(Math.pow(2, attempt - 1));
    }
    throw new Refused(409, "NO_SLOT");
  }

  boolean mayRepeat(Refused refused) {
    return "CONCURRENCY_LIMIT_EXCEEDED".equals(refused.code);
  }

  /** Return the JSON of every job, page after page. */
  List<String> list() {
    List<String> jobs = new ArrayList<>();
    for (String cursor = ""; cursor != null; ) {
      String page = get("/v1/jobs?limit=50" + cursor);
      String[] parts = page.split("(?=\\{\"jobId\")");
      jobs.addAll(List.of(parts).subList(1, parts.length));
      String next = value(page, "nextCursor");
      cursor = next == null ? null : "&cursor=" + URLEncoder.encode(next, StandardCharsets.UTF_8);
    }
    return jobs;
  }

  String read(String job) {
    return value(get("/v1/jobs/" + job), "status");
  }

  /** Look at a job until it has ended, and cancel it after the patience; an unknown status is no end. */
  String poll(String job) {
    long deadline = System.currentTimeMillis() + patience;
    while (System.currentTimeMillis() < deadline) {
      String status = read(job);
      if (TERMINAL.contains(status)) return status;
      sleep(1);
    }
    call(request("/v1/jobs/" + job + "/cancel").POST(BodyPublishers.noBody()).build());
    return "cancelled";
  }

  /** Follow a job on its stream, and resume where it broke off. */
  String stream(String job) {
    String[] last = {""};
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
      String status = follow(job, last);
      if (TERMINAL.contains(status)) return status;
      sleep(0.1 * Math.pow(2, attempt));
    }
    return poll(job);
  }

  /** Read one stream, and return the last status that it told; one that falls silent is closed. */
  String follow(String job, String[] last) {
    HttpRequest.Builder request = request("/v1/jobs/" + job + "/progress").header("accept", "text/event-stream");
    if (!last[0].isEmpty()) request.header("last-event-id", last[0]);
    HttpResponse<InputStream> response = open(request.build(), BodyHandlers.ofInputStream());
    long[] heard = {System.currentTimeMillis()};
    Timer watch = watch(response.body(), heard);
    String id = last[0];
    String status = "";
    String data = "";
    try (BufferedReader lines = new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null && !TERMINAL.contains(status); line = lines.readLine()) {
        heard[0] = System.currentTimeMillis();
        if (line.startsWith("id: ")) id = line.substring(4);
        if (line.startsWith("data: ")) data = line.substring(6);
        if (line.isEmpty() && !data.isEmpty()) {
          last[0] = id;
          status = value(data, "status");
          data = "";
          if (TERMINAL.contains(status)) return status;
        }
      }
    } catch (IOException problem) {
      return status; // it broke off
    } finally {
      watch.cancel();
    }
    return status;
  }

  Timer watch(InputStream stream, long[] heard) {
    Timer timer = new Timer(true);
    timer.schedule(new TimerTask() {
      @Override
      public void run() {
        if (System.currentTimeMillis() - heard[0] < silence) return;
        try {
          stream.close();
        } catch (IOException problem) {
          cancel();
        }
      }
    }, 250, 250);
    return timer;
  }

  /** Submit with a callbackUrl, and wait for the webhook of the end; look for oneself when none comes for long. */
  String webhook() throws Exception {
    CompletableFuture<String> ended = new CompletableFuture<>();
    int port = Integer.parseInt(variable("VIRALSYNC_CALLBACK_PORT", "0"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.setExecutor(Executors.newCachedThreadPool(Client::daemon));
    server.createContext("/", exchange -> {
      byte[] body = exchange.getRequestBody().readAllBytes();
      int status = answer(body, exchange.getRequestHeaders().getFirst("x-render-signature"));
      exchange.sendResponseHeaders(status, -1);
      exchange.close();
      String told = value(new String(body, StandardCharsets.UTF_8), "status");
      if (status == 200 && TERMINAL.contains(told)) ended.complete(told);
    });
    server.start();
    String job = submit(variable("VIRALSYNC_CALLBACK_URL", null));
    String status;
    try {
      status = ended.get(30, TimeUnit.SECONDS);
    } catch (TimeoutException problem) {
      status = poll(job);
    }
    sleep(0.5); // a duplicate may be under way
    server.stop(0);
    return status;
  }

  static Thread daemon(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  }

  /** Return the status for a webhook: only the API can sign its body. */
  int answer(byte[] body, String signature) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(variable("VIRALSYNC_WEBHOOK_SECRET", "").getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      byte[] expected = HexFormat.of().formatHex(mac.doFinal(body)).getBytes(StandardCharsets.UTF_8);
      byte[] sent = (signature == null ? "" : signature).getBytes(StandardCharsets.UTF_8);
      return MessageDigest.isEqual(expected, sent) ? 200 : 401;
    } catch (GeneralSecurityException problem) {
      throw new IllegalStateException(problem);
    }
  }

  /** Do one task; return whether it went well. */
  boolean run(String task) throws Exception {
    switch (task) {
      case "list":
        return !list().isEmpty();
      case "webhook":
        return webhook().equals("done");
      case "cancel":
        patience = 2000;
        return poll(submit(null)).equals("cancelled");
      case "stream":
        return stream(submit(null)).equals("done");
      default:
        return poll(submit(null)).equals("done");
    }
  }

  static void main(Client client) throws Exception {
    try {
      System.exit(client.run(variable("VIRALSYNC_TASK", "render")) ? 0 : 1);
    } catch (Refused refused) {
      System.err.println("refused: " + refused.getMessage());
      System.exit(1);
    }
  }

  public static void main(String[] arguments) throws Exception {
    main(new Client());
  }
}
