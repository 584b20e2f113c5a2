import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Bad: it answers 409 to a webhook that it has had before. Fails survives-duplicates. */
public class RefusesDuplicates extends Client {
  private final Set<Integer> known = ConcurrentHashMap.newKeySet();

  @Override
  int answer(byte[] body, String signature) {
    return known.add(Arrays.hashCode(body)) ? super.answer(body, signature) : 409;
  }

  public static void main(String[] arguments) throws Exception {
    main(new RefusesDuplicates());
  }
}
