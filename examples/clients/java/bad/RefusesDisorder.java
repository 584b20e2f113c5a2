import java.nio.charset.StandardCharsets;

/** Bad: it answers 409 to a webhook that is older than the last one. Fails survives-disorder. */
public class RefusesDisorder extends Client {
  private String latest = "";

  @Override
  synchronized int answer(byte[] body, String signature) {
    String at = value(new String(body, StandardCharsets.UTF_8), "timestamp");
    if (at.compareTo(latest) < 0) return 409;
    latest = at;
    return super.answer(body, signature);
  }

  public static void main(String[] arguments) throws Exception {
    main(new RefusesDisorder());
  }
}
